/**
 * Appraisal policies (RFC 9334, section 8.5): what a client accepts. Plain JSON, documented in
 * docs/attestation-policy.md. Hashes are lower-case hexadecimal. A list holds alternatives, so that an upgrade can
 * roll; a list that is left out accepts anything, and then the verdict says so.
 */
import { NAME } from '../../lib/protocols/attestation.ts'
import { azureCvmSection } from './azure/cvm-policy.ts'
import type { AzureCvmPolicy } from './azure/cvm-policy.ts'
import { azureMaaSection } from './azure/policy.ts'
import type { AzureMaaPolicy } from './azure/policy.ts'
import type { NvidiaPolicy } from './nvidia/policy.ts'
import { nvidiaForm } from './nvidia/form.ts'
import { googleSection } from './google/policy.ts'
import type { GooglePolicy } from './google/policy.ts'
import { AttestationPolicyError, count, exactly, flag, list, matching, object, required } from './policy-rules.ts'
import type { PolicySection, Rule } from './policy-rules.ts'
import { provenanceForm } from './provenance/form.ts'
import type { ProvenancePolicy } from './provenance/policy.ts'
import { simulatedSection } from './simulated/policy.ts'
import type { SimulatedPolicy } from './simulated/policy.ts'
import { snpSection } from './snp/policy.ts'
import type { SnpPolicy } from './snp/policy.ts'
import { tdxSection } from './tdx/policy.ts'
import type { TdxPolicy } from './tdx/policy.ts'

/** A section for each kind of evidence. A verifier of your own adds its section by declaration merging. */
export interface PlatformPolicies {
  readonly 'google-confidential-space'?: GooglePolicy
  readonly 'azure-maa'?: AzureMaaPolicy
  readonly 'azure-cvm'?: AzureCvmPolicy
  readonly 'sev-snp'?: SnpPolicy
  readonly tdx?: TdxPolicy
  readonly simulated?: SimulatedPolicy
}

export interface AttestationPolicy {
  readonly version: 1
  /** Platforms that are not named are refused. */
  readonly platforms: PlatformPolicies
  /**
   * What runs was built by a workflow of this repository. It takes the place of `imageDigests`, `hostData` and
   * `measurements`: docs/attestation-policy.md says where.
   */
  readonly provenance?: ProvenancePolicy
  /** Devices beside the CPU that have to prove themselves, too. */
  readonly devices?: { readonly nvidia?: NvidiaPolicy }
  /**
   * Codes of the weakened protections that are accepted; docs/attestation-policy.md lists them. An empty list demands
   * the strict mode. Left out, any are accepted, and the verdict names them.
   */
  readonly acceptedWeakenings?: readonly string[]
  /** Of tokens, from `iat` on. 300 where left out, at most a day. */
  readonly maximumAgeSeconds?: number
  /** How far clocks may differ. 60 where left out, at most an hour. */
  readonly clockToleranceSeconds?: number
  /** Accepts evidence that does not answer this client's nonce, as long as it is a token with a time of its own. */
  readonly allowCached?: boolean
  /** Accepts simulated evidence. Never for production. */
  readonly development?: boolean
  /** Accepts a platform section that pins no software: genuine hardware then runs anybody's program. */
  readonly insecure?: boolean
}

const SECTIONS: readonly PolicySection[] = [
  googleSection, azureMaaSection, azureCvmSection, snpSection, tdxSection, simulatedSection
]
const DAY_SECONDS = 86_400
const HOUR_SECONDS = 3600

/**
 * Checks a policy's form, member by member, and that each section pins the software.
 *
 * @example
 * ```ts
 * import { AttestationPolicyError, parseAttestationPolicy } from '@polaris-secure-proxy/sdk/attestation'
 *
 * try {
 *   parseAttestationPolicy('{ "version": 1, "platforms": { "sev-snp": {} } }')
 * } catch (error) {
 *   if (error instanceof AttestationPolicyError) console.log(error.message)
 * }
 * ```
 *
 * @param policy JSON text, or what JSON.parse made of it
 * @param sections that it may have, or the verifiers whose they are
 * @throws {AttestationPolicyError}
 */
export function parseAttestationPolicy (
  policy: unknown,
  sections: readonly PolicySection[] = SECTIONS
): AttestationPolicy {
  const value = typeof policy === 'string' ? parseJson(policy) : policy
  const whole: Rule = object({
    version: required(exactly(1)),
    platforms: required(object(Object.fromEntries(sections.map(({ tee, form }) => [tee, form])))),
    provenance: provenanceForm,
    devices: object({ nvidia: nvidiaForm }),
    acceptedWeakenings: list(matching(NAME)),
    maximumAgeSeconds: count(DAY_SECONDS),
    clockToleranceSeconds: count(HOUR_SECONDS),
    allowCached: flag,
    development: flag,
    insecure: flag
  })
  whole(value, 'policy')
  const parsed = value as AttestationPolicy
  refuseEmptyPins(parsed, sections)
  return parsed
}

/** The section of a kind of evidence, if the policy has one. */
export function sectionFor ({ tee }: PolicySection, { platforms }: AttestationPolicy): unknown {
  return Object.hasOwn(platforms, tee) ? platforms[tee as keyof PlatformPolicies] : undefined
}

/** Genuine hardware proves nothing about the program that runs on it: each section has to pin that program. */
function refuseEmptyPins (policy: AttestationPolicy, sections: readonly PolicySection[]): void {
  if (Object.keys(policy.platforms).length === 0) throw new AttestationPolicyError('policy.platforms names no platform')
  for (const section of sections) {
    const pins = sectionFor(section, policy)
    if (pins === undefined) continue
    const { tee, development } = section
    if (development && !policy.development) {
      throw new AttestationPolicyError(`policy.platforms.${tee} needs "development": true`)
    }
    const missing = policy.insecure ? undefined : section.unpinned(pins, policy.provenance !== undefined)
    if (missing !== undefined) {
      throw new AttestationPolicyError(
        `policy.platforms.${tee} pins no software: give ${missing}, or provenance, or say "insecure": true`
      )
    }
  }
}

function parseJson (json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new AttestationPolicyError('The policy is not JSON', { cause })
  }
}
