/**
 * The seam between the common part of an appraisal and the platforms, with one verifier for each kind of evidence: what
 * callers may set, what every verifier is given, and the checks that all hardware reports share.
 */
import type { TypedValue } from '../../lib/protocols/attestation.ts'
import { sameBytes } from './bytes.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'
import { check, skipped } from './checks.ts'
import type { Challenge, Check, Findings } from './checks.ts'
import type { ProvenanceSources } from './provenance/sources.ts'
import type { SnpOptions } from './snp/options.ts'
import type { SnpProduct } from './snp/report.ts'
import type { TdxOptions } from './tdx/options.ts'
import type { PolicySection } from './policy-rules.ts'

/** What one platform's verifier can be told. A verifier of your own adds its member by declaration merging. */
export interface PlatformOptions {
  readonly 'sev-snp'?: SnpOptions
  readonly tdx?: TdxOptions
}

/** What the verifiers of devices can be told. */
export interface DeviceOptions {
  /** `root`: instead of NVIDIA's, SHA-256 of the root certificate (DER) in hexadecimal. */
  readonly nvidia?: { readonly root?: string }
}

export interface VerifyOptions {
  /** The nonce that this client sent: 16 to 64 bytes, fresh. Without it only `allowCached` policies can pass. */
  readonly nonce?: Uint8Array
  readonly now?: Date
  /** Asks issuers for their signing keys, and Intel and AMD for collateral. */
  readonly fetch?: typeof fetch
  /** Key sets by issuer, for use without a network. An issuer that is listed here is not asked. */
  readonly keySets?: Readonly<Record<string, unknown>>
  readonly platforms?: PlatformOptions
  readonly devices?: DeviceOptions
  /** For policies that demand provenance. */
  readonly provenance?: ProvenanceSources
  /** Instead of those of this package: the registry of verifiers. */
  readonly verifiers?: readonly Verifier[]
  /** @deprecated `platforms['sev-snp'].roots` */
  readonly amdRoots?: Readonly<Record<string, SnpProduct>>
  /** @deprecated `platforms.tdx.collateral` */
  readonly tdxVerifier?: TdxVerifier
}

/**
 * @deprecated A verifier of quotes, of which only the source of collateral is used: quotes are verified by this
 * package.
 */
export interface TdxVerifier {
  verify?: (quote: Uint8Array, collateral: never, nowSeconds: number) => unknown
  getCollateralFromPcs (quote: Uint8Array): Promise<unknown>
}

export interface VerifierContext {
  readonly evidence: readonly TypedValue[]
  readonly endorsements: readonly TypedValue[]
  /** What the evidence has to carry, recomputed from nonce and keys. Undefined: it may be about anything. */
  readonly binding: Bytes | undefined
  /** The binding as hardware reports carry it, 64 bytes. */
  readonly reportData: Bytes | undefined
  readonly now: Date
  readonly maximumAgeSeconds: number
  readonly clockToleranceSeconds: number
  readonly challenge: Challenge
  /** The policy demands provenance of what runs: the subject of its bundle takes the place of pins. */
  readonly built: boolean
  readonly fetch: typeof fetch
  readonly options: VerifyOptions
}

/** Appraises one kind of evidence, by its section of the policy. */
export interface Verifier<Policy = unknown> extends PolicySection<Policy> {
  /**
   * Checks everything it can, in the order of the platform's specification.
   *
   * @throws {AttestationFetchError} an issuer is unreachable: there is no verdict
   */
  verify (context: VerifierContext, policy: Policy): Promise<Findings>
}

/** The check `freshness` for hardware reports: they carry no time, so only a nonce bounds their age. */
export function hardwareFreshness ({ challenge }: VerifierContext): Check {
  const name = 'freshness'
  if (challenge === 'answered') return check(name, true, "The report answers this client's nonce")
  if (challenge === 'other') return skipped(name, 'Not checked: the document answers another nonce')
  if (challenge === 'recording') {
    return skipped(name, 'Not checked: a report carries no time, and was appraised by itself')
  }
  return check(name, false, "A report carries no time: without a nonce of this client's its age is unknown")
}

/** The check `bound` for hardware reports. */
export function hardwareBound ({ reportData }: VerifierContext, presented: Uint8Array): Check {
  const name = 'bound'
  if (reportData === undefined) {
    return skipped(name, 'Not checked: no report data was expected, so the report is about no keys')
  }
  const bound = sameBytes(presented, reportData)
  return check(name, bound, `The report data is ${bound ? '' : 'not '}what was expected: the binding of nonce and keys`)
}
