/** What every platform's verifier is given, and the one check that depends on nothing else. */
import type { ParsedAttestation } from '../../lib/protocols/attestation.ts'
import { check, skipped } from './checks.ts'
import type { Check } from './checks.ts'
import type { SnpProduct } from './snp-report.ts'

export interface VerifyOptions {
  /** The nonce that this client sent, 16 to 64 octets, fresh. Without it only `allowCached` policies can pass. */
  readonly nonce?: Uint8Array
  readonly now?: Date
  /** For the issuers' signing keys. */
  readonly fetch?: typeof fetch
  /** Key sets by issuer, for use without a network. What is here is not fetched. */
  readonly keySets?: Readonly<Record<string, unknown>>
  /** Instead of AMD's known roots: SHA-256 of SubjectPublicKeyInfo in hexadecimal, and the product it vouches for. */
  readonly amdRoots?: Readonly<Record<string, SnpProduct>>
  /** Instead of the optional package @phala/dcap-qvl, e.g. where a bundler has to see the import. */
  readonly tdxVerifier?: TdxVerifier
}

/** The part of @phala/dcap-qvl that is used. */
export interface TdxVerifier {
  /** @throws where the quote is not genuine or the collateral is out of date */
  verify (quote: Uint8Array, collateral: never, nowSeconds: number): { readonly status: unknown }
  /**
   * From Intel, or from somebody who is trusted as Intel is, but never from the proxy: the library believes revocation
   * lists without a look at their signatures.
   */
  getCollateralFromPcs (quote: Uint8Array): Promise<unknown>
}

export interface VerifierContext {
  readonly document: ParsedAttestation
  /** Recomputed from nonce and keys, never taken from the document. */
  readonly binding: Uint8Array<ArrayBuffer>
  readonly now: Date
  readonly maximumAgeSeconds: number
  readonly clockToleranceSeconds: number
  /** The evidence has to answer a nonce of this client's. */
  readonly challenged: boolean
  readonly fetch: typeof fetch
  readonly options: VerifyOptions
}

/** The check `freshness` for hardware reports: they carry no time, so that only the nonce tells their age. */
export function hardwareFreshness ({ challenged, options }: VerifierContext): Check {
  const name = 'freshness'
  if (challenged) return check(name, true, 'The report answers this client\'s nonce')
  if (options.nonce) return skipped(name, 'Not looked at: the document answers another nonce')
  return check(name, false, 'A report carries no time: without a nonce of this client\'s nobody knows its age')
}
