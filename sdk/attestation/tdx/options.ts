/** What the TDX verifier can be told. */
import type { TdxCollateral } from './collateral/collateral.ts'
import type { TdxPlatform } from './collateral/intel.ts'

export interface TdxOptions {
  /** Instead of Intel's root: SHA-256 of SubjectPublicKeyInfo, hexadecimal. */
  readonly roots?: readonly string[]
  /** Instead of asking Intel: collateral from a cache or a file. It is verified, whatever its source. */
  readonly collateral?: TdxCollateral | ((platform: TdxPlatform) => Promise<TdxCollateral>)
}
