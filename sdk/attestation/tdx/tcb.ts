/**
 * Whether a platform is up to date, by Intel's rule ("SGX and TDX Provisioning Certification Service", "TCB Info V3"):
 *
 * 1. Of the TCB levels, the first one counts that the platform reaches in every component.
 * 2. From TDX 1.5 on (second byte of TEE_TCB_SVN above 0), the TDX module is not among those components: the first two
 *    are left out, and the module is looked up among `tdxModuleIdentities`, by its version.
 * 3. The worse of the two statuses is that of the platform.
 */
import { fromHex, toHex } from '../bytes.ts'
import type { TcbInfo, TcbLevel } from './collateral/collateral.ts'
import type { PlatformCertificate } from './pck.ts'
import type { TdxQuote } from './quote.ts'
import { worse } from './statuses.ts'
import type { TcbStatus } from './statuses.ts'

/** A platform for which Intel states no status is refused: the message says what was not found. */
export class UnknownTcbError extends Error {
  override readonly name = 'UnknownTcbError'
}

/**
 * @param info its signature, its time and its platform were checked
 * @throws {UnknownTcbError}
 */
export function platformStatus (info: TcbInfo, quote: TdxQuote, platform: PlatformCertificate): TcbStatus {
  const now = quote.teeTcbSvn2 ?? quote.teeTcbSvn
  // What an outdated module did to a domain at its launch stays done when the module is replaced below it.
  return worse(statusOf(info, quote, platform, quote.teeTcbSvn), statusOf(info, quote, platform, now))
}

function statusOf (info: TcbInfo, quote: TdxQuote, platform: PlatformCertificate, svn: Uint8Array): TcbStatus {
  const [moduleSvn = 0, moduleVersion = 0] = svn
  const module = moduleStatus(info, quote, moduleSvn, moduleVersion)
  const first = moduleVersion > 0 ? 2 : 0
  const level = info.tcbLevels.find(candidate => reaches(candidate, platform, svn, first))
  if (!level) throw new UnknownTcbError("Intel's TCB info has no level that the platform reaches")
  return module === undefined ? level.tcbStatus : worse(level.tcbStatus, module)
}

function reaches (
  { tcb }: TcbLevel,
  { components, pcesvn }: PlatformCertificate,
  svn: Uint8Array,
  first: number
): boolean {
  return (
    components.every((component, i) => component >= (tcb.sgx[i] ?? Infinity)) &&
    pcesvn >= tcb.pcesvn &&
    svn.every((component, i) => i < first || component >= (tcb.tdx[i] ?? Infinity))
  )
}

/** @returns undefined for modules of TDX 1.0, whose version is among the components */
function moduleStatus (info: TcbInfo, { report }: TdxQuote, svn: number, version: number): TcbStatus | undefined {
  const id = `TDX_${toHex(Uint8Array.of(version)).toUpperCase()}`
  const identities = info.tdxModuleIdentities.filter(identity => identity.id === id)
  const [identity] = version > 0 ? identities : [info.tdxModule]
  if (!identity || identities.length > 1) {
    throw new UnknownTcbError(`Intel's TCB info does not know TDX modules of version ${id}`)
  }
  const seamAttributes = fromHex(report.seamAttributes) ?? new Uint8Array()
  const masked = seamAttributes.map((byte, i) => byte & (identity.attributesMask[i] ?? 0xff))
  if (report.mrsignerseam !== toHex(identity.mrsigner) || toHex(masked) !== toHex(identity.attributes)) {
    throw new UnknownTcbError("The TDX module has another signer or other attributes than Intel's TCB info says")
  }
  if (version === 0) return undefined
  const level = identity.tcbLevels.find(({ isvsvn }) => svn >= isvsvn)
  if (!level) throw new UnknownTcbError(`Intel's TCB info has no level for TDX module ${id} at ${svn}`)
  return level.tcbStatus
}
