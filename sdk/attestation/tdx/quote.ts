/**
 * TDX quotes of versions 4 and 5 (Intel, "TDX DCAP Quoting Library API", appendix A.3 and A.4). Little-endian. Every
 * byte is either signed, or a length or type that admits one value, or padding that has to be zero.
 */
import { toHex } from '../bytes.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'

const HEADER_BYTES = 48
const TEE_TYPE_TDX = 0x81
/** ECDSA with SHA-256 over P-256. */
const KEY_TYPE_P256 = 2
/** By the type that version 5 names: bytes of a TD report of TDX 1.0 and 1.5. */
const BODY_BYTES: Readonly<Record<number, number>> = { 2: 584, 3: 648 }
const QE_REPORT_BYTES = 384
/** Of certification data: a report of the quoting enclave, and within it a chain of certificates in PEM. */
const QE_REPORT_TYPE = 6
const PEM_CHAIN_TYPE = 5

/** Registers and identities, each lower-case hexadecimal. */
export interface TdReport {
  readonly mrseam: string
  readonly mrsignerseam: string
  readonly seamAttributes: string
  readonly attributes: string
  readonly xfam: string
  readonly mrtd: string
  readonly mrconfigid: string
  readonly mrowner: string
  readonly mrownerconfig: string
  readonly rtmr0: string
  readonly rtmr1: string
  readonly rtmr2: string
  readonly rtmr3: string
  /** Zero unless a service TD, such as one for migration, is bound. Absent from reports of TDX 1.0. */
  readonly mrservicetd: string | undefined
}

export interface TdxQuote {
  readonly version: 4 | 5
  readonly qeVendorId: string
  readonly report: TdReport
  /** 16 bytes: what ran when the domain was launched. */
  readonly teeTcbSvn: Bytes
  /** 16 bytes: what runs now. Absent from reports of TDX 1.0. */
  readonly teeTcbSvn2: Bytes | undefined
  readonly reportData: Bytes
  /** Header and report. */
  readonly signed: Bytes
  /** r || s */
  readonly signature: Bytes
  /** x || y */
  readonly attestationKey: Bytes
  readonly qe: QuotingEnclave
  /** PEM of the platform's certificate and its issuers. */
  readonly certificates: string
  /** Something other than zeros follows the quote. */
  readonly trailing: boolean
}

export interface QuotingEnclave {
  readonly report: Bytes
  readonly signature: Bytes
  readonly authenticationData: Bytes
  readonly miscselect: Bytes
  readonly attributes: Bytes
  readonly mrsigner: Bytes
  readonly isvprodid: number
  readonly isvsvn: number
  readonly reportData: Bytes
}

/** @throws {RangeError} it is not a TDX quote of version 4 or 5; the message says which part is wrong */
export function parseTdxQuote (quote: Bytes): TdxQuote {
  const outer = reader(quote, 'the quote')
  const version = outer.uint16()
  if (version !== 4 && version !== 5) throw new RangeError(`quotes of version ${version} are not known`)
  const keyType = outer.uint16()
  if (keyType !== KEY_TYPE_P256) throw new RangeError(`attestation keys of type ${keyType} are not known`)
  const tee = outer.uint32()
  if (tee !== TEE_TYPE_TDX) throw new RangeError(`the quote is about a TEE of type ${tee}, not about a trust domain`)
  outer.bytes(4)
  const qeVendorId = toHex(outer.bytes(16))
  outer.bytes(HEADER_BYTES - outer.at())
  const type = version === 5 ? outer.uint16() : 2
  const length = BODY_BYTES[type]
  if (length === undefined || (version === 5 && outer.uint32() !== length)) {
    throw new RangeError(`reports of type ${type} are not known`)
  }
  const body = outer.bytes(length)
  const signed = quote.subarray(0, outer.at())
  const authentication = outer.bytes(outer.uint32())
  return {
    version,
    qeVendorId,
    ...readBody(body),
    signed,
    ...readAuthentication(authentication),
    trailing: quote.subarray(outer.at()).some(byte => byte !== 0)
  }
}

function readBody (body: Bytes): Pick<TdxQuote, 'report' | 'teeTcbSvn' | 'teeTcbSvn2' | 'reportData'> {
  const hex = (from: number, length = 48) => toHex(body.subarray(from, from + length))
  const extended = body.length === BODY_BYTES[3]
  return {
    teeTcbSvn: body.subarray(0, 16),
    report: {
      mrseam: hex(16),
      mrsignerseam: hex(64),
      seamAttributes: hex(112, 8),
      attributes: hex(120, 8),
      xfam: hex(128, 8),
      mrtd: hex(136),
      mrconfigid: hex(184),
      mrowner: hex(232),
      mrownerconfig: hex(280),
      rtmr0: hex(328),
      rtmr1: hex(376),
      rtmr2: hex(424),
      rtmr3: hex(472),
      mrservicetd: extended ? hex(600) : undefined
    },
    reportData: body.subarray(520, 584),
    teeTcbSvn2: extended ? body.subarray(584, 600) : undefined
  }
}

function readAuthentication (bytes: Bytes): Pick<TdxQuote, 'signature' | 'attestationKey' | 'qe' | 'certificates'> {
  const outer = reader(bytes, 'the signature data')
  const signature = outer.bytes(64)
  const attestationKey = outer.bytes(64)
  const inner = reader(certificationData(outer, QE_REPORT_TYPE), "the quoting enclave's report")
  const report = inner.bytes(QE_REPORT_BYTES)
  const qeSignature = inner.bytes(64)
  const authenticationData = inner.bytes(inner.uint16())
  const certificates = new TextDecoder('latin1').decode(certificationData(inner, PEM_CHAIN_TYPE))
  const view = new DataView(report.buffer, report.byteOffset, report.byteLength)
  return {
    signature,
    attestationKey,
    qe: {
      report,
      signature: qeSignature,
      authenticationData,
      miscselect: report.subarray(16, 20),
      attributes: report.subarray(48, 64),
      mrsigner: report.subarray(128, 160),
      isvprodid: view.getUint16(256, true),
      isvsvn: view.getUint16(258, true),
      reportData: report.subarray(320, 384)
    },
    // Written in C: there may be a zero at its end.
    certificates: certificates.endsWith('\0') ? certificates.slice(0, -1) : certificates
  }
}

/** Type, length and value, with nothing behind. */
function certificationData (from: Reader, expected: number): Bytes {
  const type = from.uint16()
  if (type !== expected) {
    throw new RangeError(`certification data of type ${type} is not known, ${expected} is expected`)
  }
  const data = from.bytes(from.uint32())
  if (from.rest() !== 0) throw new RangeError('the lengths within the signature data do not fit together')
  return data
}

interface Reader {
  uint16 (): number
  uint32 (): number
  bytes (length: number): Bytes
  at (): number
  rest (): number
}

function reader (source: Bytes, name: string): Reader {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength)
  let at = 0
  const take = (length: number): number => {
    if (length > source.length - at) throw new RangeError(`${name} ends early`)
    at += length
    return at - length
  }
  return {
    uint16: () => view.getUint16(take(2), true),
    uint32: () => view.getUint32(take(4), true),
    bytes: length => {
      const from = take(length)
      return source.subarray(from, from + length)
    },
    at: () => at,
    rest: () => source.length - at
  }
}
