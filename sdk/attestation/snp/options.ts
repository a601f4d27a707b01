/** What the SEV-SNP verifier can be told. */
import type { SnpProduct } from './report.ts'

export interface SnpOptions {
  /** Instead of AMD's roots: SHA-256 of SubjectPublicKeyInfo, hexadecimal, and the product that it vouches for. */
  readonly roots?: Readonly<Record<string, SnpProduct>>
  /** Revocation lists, DER. They are verified, whatever their source. */
  readonly revocationLists?: readonly Uint8Array[]
}
