/** What a quote says of the trust domain and of the TDX module, against the policy. */
import { fromHex, toHex } from '../bytes.ts'
import { check, formedCheck, oneOfCheck, show, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { TdxMeasurement, TdxPolicy } from './policy.ts'
import type { TdReport, TdxQuote } from './quote.ts'

/** Intel's own, 939A7233-F79C-4CA9-940A-0DB3957F0607. */
const INTEL_QE_VENDOR = '939a7233f79c4ca9940a0db3957f0607'

/**
 * TDATTRIBUTES (Intel, "TDX Module Base Architecture Specification", ATTRIBUTES). Bits 0 to 7 make a domain untrusted,
 * the lowest is DEBUG; bit 28 is SEPT_VE_DISABLE. A domain may have PKS (30), key locker (31) and PERFMON (63);
 * whatever else is set was reserved when this was written.
 */
const UNTRUSTED = 0xffn
const SEPT_VE_DISABLE = 1n << 28n
const KNOWN_ATTRIBUTES = UNTRUSTED | SEPT_VE_DISABLE | (1n << 30n) | (1n << 31n) | (1n << 63n)
/** XFAM: FP and SSE are always there (FIXED1), and what is not in FIXED0 never. */
const XFAM_FIXED1 = 0x3n
const XFAM_FIXED0 = 0x6dbe7n

const REGISTERS = ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'] as const

export function contentChecks (policy: TdxPolicy, { report, qeVendorId, teeTcbSvn }: TdxQuote): Check[] {
  return [
    moduleCheck(report, policy),
    oneOfCheck('mrseam', 'The TDX module (MRSEAM)', policy.mrseam, report.mrseam),
    moduleSvnCheck(teeTcbSvn, policy),
    oneOfCheck(
      'quoting-enclave-vendor',
      'The maker of the quoting enclave',
      policy.qeVendorIds ?? [INTEL_QE_VENDOR],
      qeVendorId
    ),
    ...attributeChecks(report, policy),
    xfamCheck(report, policy),
    serviceCheck(report, policy),
    measurementCheck(report, policy.measurements),
    oneOfCheck('mrconfigid', 'MRCONFIGID', policy.mrconfigid, report.mrconfigid),
    oneOfCheck('mrowner', 'MROWNER', policy.mrowner, report.mrowner),
    oneOfCheck('mrownerconfig', 'MROWNERCONFIG', policy.mrownerconfig, report.mrownerconfig)
  ]
}

/** The policy section that pins what a quote presents, but for what changes with every update of a platform. */
export function presentedPins ({ report }: TdxQuote): TdxPolicy {
  const { mrtd, rtmr0, rtmr1, rtmr2, rtmr3, mrconfigid, mrowner, mrownerconfig } = report
  return {
    measurements: [{ mrtd, rtmr0, rtmr1, rtmr2, rtmr3 }],
    mrconfigid: [mrconfigid],
    mrowner: [mrowner],
    mrownerconfig: [mrownerconfig]
  }
}

/** MRSIGNERSEAM and SEAMATTRIBUTES: both are zero for what Intel signed, but for modules that can be debugged. */
function moduleCheck ({ mrsignerseam, seamAttributes }: TdReport, policy: TdxPolicy): Check {
  const { mrsignerseam: signers = ['00'.repeat(48)], seamAttributes: attributes = ['00'.repeat(8)] } = policy
  const accepted = signers.includes(mrsignerseam) && attributes.includes(seamAttributes)
  return check(
    'module',
    accepted,
    accepted
      ? 'The TDX module is by Intel and for production, or as the policy pins it'
      : `The TDX module is by signer ${show(mrsignerseam)}, with attributes ${show(seamAttributes)}: ` +
        "neither Intel's for production nor pinned"
  )
}

function moduleSvnCheck (svn: Uint8Array, { minimumTeeTcbSvn }: TdxPolicy): Check {
  const name = 'tee-tcb-svn'
  const presented = `TEE_TCB_SVN is ${toHex(svn)}`
  if (minimumTeeTcbSvn === undefined) return skipped(name, `${presented}; the policy accepts any`)
  const least = fromHex(minimumTeeTcbSvn, svn.length)
  const reached = least !== undefined && svn.every((component, i) => component >= (least[i] ?? Infinity))
  return check(name, reached, `${presented}, at least ${minimumTeeTcbSvn} is expected in each byte`)
}

function littleEndian (hex: string): bigint {
  return (fromHex(hex) ?? new Uint8Array()).reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n)
}

function attributeChecks ({ attributes }: TdReport, policy: TdxPolicy): Check[] {
  const value = littleEndian(attributes)
  const reserved = value & ~KNOWN_ATTRIBUTES
  const exceptions = (value & SEPT_VE_DISABLE) === 0n
  const untrusted = (value & UNTRUSTED) !== 0n
  return [
    check('debug', !untrusted, `The trust domain ${untrusted ? 'can' : 'cannot'} be debugged`),
    reserved === 0n
      ? formedCheck('attributes', 'TDATTRIBUTES', policy.attributes, attributes)
      : check('attributes', false, `TDATTRIBUTES is ${show(attributes)}: reserved bits are set`),
    // With these exceptions the host chooses when the guest's kernel is interrupted, by unmapping its pages.
    exceptions && policy.allowSeptVe
      ? skipped('sept-ve', 'The host can cause virtualization exceptions, as the policy accepts')
      : check(
        'sept-ve',
        !exceptions,
          `The host ${exceptions ? 'can' : 'cannot'} cause virtualization exceptions (SEPT_VE_DISABLE)`
      )
  ]
}

function xfamCheck ({ xfam }: TdReport, policy: TdxPolicy): Check {
  const value = littleEndian(xfam)
  if ((value & XFAM_FIXED1) !== XFAM_FIXED1) {
    return check('xfam', false, `XFAM is ${show(xfam)}: FP and SSE must be set`)
  }
  if ((value & ~XFAM_FIXED0) !== 0n) return check('xfam', false, `XFAM is ${show(xfam)}: reserved bits are set`)
  return formedCheck('xfam', 'XFAM', policy.xfam, xfam)
}

/** A service TD can move the domain to another platform. */
function serviceCheck ({ mrservicetd }: TdReport, policy: TdxPolicy): Check {
  const name = 'service-td'
  if (mrservicetd === undefined) return skipped(name, 'Not in reports of TDX 1.0')
  const { mrservicetd: accepted = ['00'.repeat(48)] } = policy
  return oneOfCheck(name, 'The service TD that is bound', accepted, mrservicetd)
}

function measurementCheck (presented: TdReport, accepted: readonly TdxMeasurement[] | undefined): Check {
  const name = 'measurement'
  const text = REGISTERS.map(register => `${register} ${presented[register]}`).join(', ')
  if (!accepted) return skipped(name, `The policy accepts any registers: ${text}`)
  const found = accepted.some(measurement =>
    REGISTERS.every(register => measurement[register] === undefined || measurement[register] === presented[register])
  )
  const open = REGISTERS.filter(register => accepted.every(measurement => measurement[register] === undefined))
  const rest = open.length > 0 ? `; not compared: ${open.join(', ')}` : ''
  return check(name, found, `The registers ${found ? 'match' : 'do not match'} the policy: ${text}${rest}`)
}
