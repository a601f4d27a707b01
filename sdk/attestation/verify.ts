/** Appraises an attestation document against a policy (RFC 9334: the verifier and the relying party in one). */
import {
  bindingPreimage,
  bindingPreimageV1,
  parseAttestationDocument,
  readWeakenings,
  reportData,
  sha256
} from '../../lib/protocols/attestation.ts'
import type { ParsedAttestation } from '../../lib/protocols/attestation.ts'
import { sameBytes } from './bytes.ts'
import { check, skipped } from './checks.ts'
import { claimChecks } from './claims.ts'
import type { Challenge, Check, Findings, Verdict } from './checks.ts'
import { deviceFindings } from './devices.ts'
import type { Verifier, VerifierContext, VerifyOptions } from './context.ts'
import { parseAttestationPolicy, sectionFor } from './policy.ts'
import type { AttestationPolicy } from './policy.ts'
import { provenanceFindings } from './provenance/findings.ts'
import type { ProvenanceFindings } from './provenance/index.ts'
import type { Software } from './verdict/subject.ts'
import { VERIFIERS } from './verifiers.ts'

/**
 * Checks everything it can, so that the verdict names each failure and not only the first one.
 *
 * @example
 * ```ts
 * import { fetchAttestation, verifyAttestation } from '@polaris-secure-proxy/sdk/attestation'
 *
 * const policy = { version: 1, development: true, insecure: true, platforms: { simulated: {} } } as const
 * const { document, nonce } = await fetchAttestation('https://proxy.example')
 * const { verified, checks } = await verifyAttestation(document, policy, { nonce })
 * for (const { name, outcome, detail } of checks) console.log(verified, outcome, name, detail)
 * ```
 *
 * @param document as received: JSON text, or its UTF-8 bytes
 * @throws {AttestationDocumentError} it is not an attestation document
 * @throws {AttestationFetchError} an issuer has to be asked and cannot be: there is no verdict
 * @throws {AttestationPolicyError} the policy is malformed, or pins nothing
 */
export function verifyAttestation (
  document: string | Uint8Array,
  policy: AttestationPolicy,
  options: VerifyOptions = {}
): Promise<Verdict> {
  return verifyDocument(document, policy, options, 'none')
}

/** @param unasked what it means that the options have no nonce */
export async function verifyDocument (
  document: string | Uint8Array,
  policy: AttestationPolicy,
  options: VerifyOptions,
  unasked: 'none' | 'recording'
): Promise<Verdict> {
  const accepted = parseAttestationPolicy(policy, options.verifiers)
  const parsed = parseAttestationDocument(document)
  const { nonce, keys } = parsed
  const preimage = await (parsed.version === 1 ? bindingPreimageV1(nonce, keys) : bindingPreimage(nonce, keys, parsed))
  const binding = await sha256(preimage)
  const challenge = options.nonce === undefined ? unasked : challengeOf(options.nonce, parsed.nonce)
  const { evidence, endorsements } = parsed
  const context = contextFor(
    { evidence, endorsements, binding, reportData: reportData(binding), challenge },
    accepted,
    options
  )
  const { checks: found, presented, issuedAt, machine, source } = await platformFindings(parsed.tee, context, accepted)
  const { checks: deviceChecks, devices } = await deviceFindings(parsed, accepted, context)
  const checks = [
    nonceCheck(challenge, parsed, accepted),
    await keysCheck(parsed),
    check(
      'binding',
      sameBytes(parsed.binding.preimage, preimage) && sameBytes(parsed.binding.sha256, binding),
      'The binding in the document matches its nonce and keys'
    ),
    ...claimChecks(parsed.claims, accepted.acceptedWeakenings),
    ...found,
    ...deviceChecks
  ]
  const covered = keys.map(({ kind, value }) => ({ kind, value }))
  const verified = found.length > 0 && isVerified(checks)
  const weakenings = readWeakenings(parsed.claims)
  return {
    verified,
    tee: parsed.tee,
    checks,
    keys: covered,
    presented,
    ...Array.isArray(weakenings) && { weakenings },
    ...verified && challenge === 'answered' && { issuedAt },
    at: context.now,
    challenge,
    machine,
    software: softwareOf(source, parsed.tee, accepted, options.verifiers),
    devices
  }
}

type Subject = Pick<VerifierContext, 'evidence' | 'endorsements' | 'binding' | 'reportData' | 'challenge'>

/** With the defaults of policy and options. */
export function contextFor (subject: Subject, policy: AttestationPolicy, options: VerifyOptions): VerifierContext {
  return {
    ...subject,
    now: options.now ?? new Date(),
    maximumAgeSeconds: policy.maximumAgeSeconds ?? 300,
    clockToleranceSeconds: policy.clockToleranceSeconds ?? 60,
    built: policy.provenance !== undefined,
    fetch: options.fetch ?? fetch,
    options
  }
}

export interface PlatformFindings extends Findings {
  /** Where what runs was built, if the policy asks for it and every check of that passed. */
  readonly source?: ProvenanceFindings['source']
}

/**
 * What the verifier for that kind of evidence finds, and the provenance of what runs there. A kind that the policy does
 * not name is refused.
 */
export async function platformFindings (
  tee: string,
  context: VerifierContext,
  policy: AttestationPolicy
): Promise<PlatformFindings> {
  if (tee === 'none') return refused('The proxy reports that it runs in no trusted execution environment')
  const verifier = (context.options.verifiers ?? VERIFIERS).find(candidate => candidate.tee === tee)
  const section = verifier && sectionFor(verifier, policy)
  if (!verifier || section === undefined) return refused(`The policy does not accept evidence of the kind ${tee}`)
  const findings = await verifier.verify(context, section)
  const { checks, source } = await provenanceFindings(findings, context, policy)
  return { ...findings, checks: [...findings.checks, ...checks], source }
}

/** Whether what runs there is known by its source, pinned by the section of that platform, or not at all. */
export function softwareOf (
  source: PlatformFindings['source'],
  tee: string,
  policy: AttestationPolicy,
  verifiers: readonly Verifier[] = VERIFIERS
): Software {
  if (source) return { known: 'built', ...source }
  const verifier = verifiers.find(candidate => candidate.tee === tee)
  const section = verifier && sectionFor(verifier, policy)
  return { known: section !== undefined && verifier?.unpinned(section, false) === undefined ? 'pinned' : 'any' }
}

export function isVerified (checks: readonly Check[]): boolean {
  return checks.some(({ outcome }) => outcome === 'passed') && checks.every(({ outcome }) => outcome !== 'failed')
}

function refused (detail: string): Findings {
  return { checks: [check('platform', false, detail)], presented: {} }
}

function challengeOf (sent: Uint8Array, answered: Uint8Array): Challenge {
  return sameBytes(sent, answered) ? 'answered' : 'other'
}

function nonceCheck (challenge: Challenge, { cached }: ParsedAttestation, policy: AttestationPolicy): Check {
  const name = 'nonce'
  if (challenge === 'answered') return check(name, true, "The document answers this client's nonce")
  if (challenge === 'other') return check(name, false, 'The document does not answer the nonce that was sent')
  if (challenge === 'recording') return skipped(name, 'Not checked: the document is appraised as a recording')
  if (policy.allowCached) {
    return skipped(name, `No nonce was sent${cached ? '; the document says that it is from a cache' : ''}`)
  }
  return check(name, false, 'No nonce was sent, and the policy does not allow cached evidence')
}

async function keysCheck ({ keys }: ParsedAttestation): Promise<Check> {
  const hashes = await Promise.all(keys.map(async ({ value, sha256: hash }) => sameBytes(await sha256(value), hash)))
  return check(
    'keys',
    keys.length > 0 && !hashes.includes(false),
    `${keys.length} keys are covered: ${keys.map(({ kind }) => kind).join(', ')}`
  )
}
