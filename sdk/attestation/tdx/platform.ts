/** The state of a platform, by Intel's collateral: revocation, the quoting enclave's identity, the TCB level. */
import { sameBytes } from '../bytes.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { check, oneOfCheck, show, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { VerifierContext } from '../context.ts'
import { AttestationFetchError } from '../http.ts'
import type { Certified } from './certification.ts'
import { CollateralError, verifyCollateral } from './collateral/collateral.ts'
import type { QeIdentity, VerifiedCollateral } from './collateral/collateral.ts'
import { fetchTdxCollateral } from './collateral/intel.ts'
import type { TdxPolicy } from './policy.ts'
import type { TdxQuote } from './quote.ts'
import { worse } from './statuses.ts'
import type { TcbStatus } from './statuses.ts'
import { UnknownTcbError, platformStatus } from './tcb.ts'

const NAMES = ['collateral', 'revocation', 'quoting-enclave', 'tcb'] as const

/** @throws {AttestationFetchError} collateral cannot be obtained now */
export async function collateralChecks (
  context: VerifierContext,
  policy: TdxPolicy,
  quote: TdxQuote,
  bytes: Bytes,
  certified: Certified | undefined
): Promise<Check[]> {
  if (!certified) return NAMES.map(name => skipped(name, 'Not looked at without a verified quote'))
  const model = oneOfCheck('platform-model', 'The platform model (FMSPC)', policy.fmspcs, certified.platform.fmspc)
  if (policy.withoutCollateral) {
    return [model, ...NAMES.map(name => skipped(name, 'Not checked: the policy asks for no collateral'))]
  }
  let collateral: VerifiedCollateral
  try {
    const { chain } = certified
    const { now, clockToleranceSeconds: toleranceSeconds } = context
    collateral = await verifyCollateral(await obtain(context, bytes, certified), { chain, now, toleranceSeconds })
  } catch (error) {
    if (!(error instanceof CollateralError)) throw error
    const unknown = NAMES.slice(1).map(name => skipped(name, 'Not looked at without collateral'))
    return [model, check('collateral', false, `Intel's collateral is not to be believed: ${error.message}`), ...unknown]
  }
  const qe = quotingEnclave(quote, collateral.qeIdentity)
  return [
    model,
    ...ageChecks(collateral, policy),
    revocationCheck(collateral, certified),
    typeof qe === 'string'
      ? check('quoting-enclave', false, qe)
      : check('quoting-enclave', true, "The quoting enclave is Intel's"),
    tcbCheck(collateral, policy, quote, certified, typeof qe === 'string' ? undefined : qe.status)
  ]
}

async function obtain (
  context: VerifierContext,
  quote: Bytes,
  { platform: { fmspc }, ca }: Certified
): Promise<unknown> {
  const { platforms, tdxVerifier } = context.options
  const given = platforms?.tdx?.collateral
  if (typeof given === 'object') return given
  if (given === undefined && !tdxVerifier) return fetchTdxCollateral(context.fetch, { fmspc, ca })
  try {
    return await (given ? given({ fmspc, ca }) : tdxVerifier?.getCollateralFromPcs(quote))
  } catch (cause) {
    if (cause instanceof AttestationFetchError) throw cause
    throw new AttestationFetchError(
      `TDX collateral is unavailable: ${cause instanceof Error ? cause.message : 'unknown error'}`,
      { cause }
    )
  }
}

function ageChecks (
  { tcbInfo, qeIdentity }: VerifiedCollateral,
  { minimumTcbEvaluationDataNumber: least }: TdxPolicy
): Check[] {
  const number = Math.min(tcbInfo.tcbEvaluationDataNumber, qeIdentity.tcbEvaluationDataNumber)
  const stale = tcbInfo.nextUpdate < qeIdentity.nextUpdate ? tcbInfo.nextUpdate : qeIdentity.nextUpdate
  return [
    check('collateral', true, `Intel's collateral is signed, and in force until ${stale.toISOString()}`),
    least === undefined
      ? skipped('collateral-number', `The collateral is that of Intel's evaluation ${number}; the policy accepts any`)
      : check(
        'collateral-number',
        number >= least,
          `The collateral is that of Intel's evaluation ${number}, at least ${least} is expected`
      )
  ]
}

/** By issuer: each authority revokes what it issued. */
function revocationCheck (
  { rootList, platformList }: VerifiedCollateral,
  { chain: [leaf, issuer, root] }: Certified
): Check {
  const revoked = [
    ...(platformList.revoked.has(leaf.serialNumber) ? ['platform'] : []),
    ...([issuer, root].some(({ serialNumber }) => rootList.revoked.has(serialNumber)) ? ['authority'] : [])
  ]
  return check(
    'revocation',
    revoked.length === 0,
    revoked.length === 0
      ? "Neither the platform's certificate nor its issuers' are revoked"
      : `Intel revoked the certificate of the ${revoked.join(' and of the ')}`
  )
}

/** @returns the status of the quoting enclave, or what is wrong with it */
function quotingEnclave ({ qe }: TdxQuote, identity: QeIdentity): { status: TcbStatus } | string {
  const masked = (value: Uint8Array, mask: Uint8Array) => value.map((byte, i) => byte & (mask[i] ?? 0xff))
  if (!sameBytes(qe.mrsigner, identity.mrsigner)) {
    return 'The quoting enclave is not signed by the enclave author that Intel names'
  }
  if (qe.isvprodid !== identity.isvprodid) return `The enclave is product ${qe.isvprodid}, not Intel's quoting enclave`
  const miscselect = masked(qe.miscselect, identity.miscselectMask)
  if (!sameBytes(miscselect, masked(identity.miscselect, identity.miscselectMask))) {
    return 'The quoting enclave has another MISCSELECT'
  }
  const attributes = masked(qe.attributes, identity.attributesMask)
  if (!sameBytes(attributes, masked(identity.attributes, identity.attributesMask))) {
    return 'The quoting enclave has other attributes'
  }
  // ATTRIBUTES.DEBUG, whatever the mask says.
  if (((qe.attributes[0] ?? 2) & 2) !== 0) return 'The quoting enclave can be debugged'
  const level = identity.tcbLevels.find(({ isvsvn }) => qe.isvsvn >= isvsvn)
  return level ? { status: level.tcbStatus } : `Intel states no status for a quoting enclave of version ${qe.isvsvn}`
}

function tcbCheck (
  { tcbInfo }: VerifiedCollateral,
  policy: TdxPolicy,
  quote: TdxQuote,
  { platform }: Certified,
  qeStatus: TcbStatus | undefined
): Check {
  const name = 'tcb'
  if (tcbInfo.fmspc !== platform.fmspc || tcbInfo.pceId !== platform.pceid) {
    return check(
      name,
      false,
      `The TCB info is about platform ${show(tcbInfo.fmspc)}, the quote about ${show(platform.fmspc)}`
    )
  }
  if (qeStatus === undefined) return skipped(name, 'Not looked at without a known quoting enclave')
  try {
    const status = worse(platformStatus(tcbInfo, quote, platform), qeStatus)
    // Never to be accepted, whatever a policy says.
    if (status === 'Revoked') return check(name, false, 'The TCB status is "Revoked"')
    return oneOfCheck(name, 'The TCB status', policy.tcbStatuses ?? ['UpToDate'], status)
  } catch (error) {
    if (!(error instanceof UnknownTcbError)) throw error
    return check(name, false, error.message)
  }
}
