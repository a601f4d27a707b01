/**
 * The SEV-SNP attestation report (AMD 56860, "SEV Secure Nested Paging Firmware ABI Specification", table
 * ATTESTATION_REPORT): 1184 bytes, little-endian.
 */
import { isZero } from '../bytes.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'

export const SNP_REPORT_BYTES = 1184
const SIGNED_BYTES = 0x2a0
/** R and S, each little-endian in a slot of this size; the rest of the signature field is zero. */
const SLOT_BYTES = 72
const SCALAR_BYTES = 48
/** Order of the group of P-384 (SP 800-186, section 3.2.1.4). */
const P384_ORDER = 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n

/** Generations of AMD's processors, each with a root of its own. */
export type SnpProduct = 'Milan' | 'Genoa' | 'Turin'

export interface SnpReport {
  readonly version: number
  readonly guestSvn: number
  /** What the guest's owner lets the host do, as a number. */
  readonly policy: bigint
  /** 16 bytes each. */
  readonly familyId: Bytes
  readonly imageId: Bytes
  readonly vmpl: number
  /** 1: ECDSA P-384 with SHA-384. */
  readonly signatureAlgorithm: number
  /** What the host's firmware has switched on, as a number. */
  readonly platformInfo: bigint
  /** 0: VCEK, the chip's own key; 1: VLEK, the cloud provider's. */
  readonly signingKey: number
  /** 64 bytes. */
  readonly reportData: Bytes
  /** 48 bytes. */
  readonly measurement: Bytes
  /** 32 bytes. */
  readonly hostData: Bytes
  /** 48 bytes each; zero without an identity block. */
  readonly idKeyDigest: Bytes
  readonly authorKeyDigest: Bytes
  /** 8 bytes: the TCB version that the signing key was derived for. Their order depends on the product. */
  readonly reportedTcb: Bytes
  /** 8 bytes: the TCB version when the guest was launched, in the same order. */
  readonly launchTcb: Bytes
  /** 64 bytes; zero where the host masks it. */
  readonly chipId: Bytes
  readonly signed: Bytes
  /** r || s, big-endian, as WebCrypto reads it; undefined where either is out of range or the padding is not zero. */
  readonly signature: Bytes | undefined
}

/** @throws {RangeError} it has another length, or a version that this code does not know */
export function parseSnpReport (report: Bytes): SnpReport {
  if (report.length !== SNP_REPORT_BYTES) {
    throw new RangeError(`a report has ${SNP_REPORT_BYTES} bytes, this one ${report.length}`)
  }
  const view = new DataView(report.buffer, report.byteOffset, report.byteLength)
  const version = view.getUint32(0x00, true)
  if (version < 2 || version > 5) throw new RangeError(`reports of version ${version} are not known`)
  return {
    version,
    guestSvn: view.getUint32(0x04, true),
    policy: view.getBigUint64(0x08, true),
    familyId: report.subarray(0x10, 0x20),
    imageId: report.subarray(0x20, 0x30),
    vmpl: view.getUint32(0x30, true),
    signatureAlgorithm: view.getUint32(0x34, true),
    platformInfo: view.getBigUint64(0x40, true),
    signingKey: (view.getUint32(0x48, true) >> 2) & 7,
    reportData: report.subarray(0x50, 0x90),
    measurement: report.subarray(0x90, 0xc0),
    hostData: report.subarray(0xc0, 0xe0),
    idKeyDigest: report.subarray(0xe0, 0x110),
    authorKeyDigest: report.subarray(0x110, 0x140),
    reportedTcb: report.subarray(0x180, 0x188),
    launchTcb: report.subarray(0x1f0, 0x1f8),
    chipId: report.subarray(0x1a0, 0x1e0),
    signed: report.subarray(0, SIGNED_BYTES),
    signature: readSignature(report.subarray(SIGNED_BYTES))
  }
}

function readSignature (field: Bytes): Bytes | undefined {
  const signature = new Uint8Array(2 * SCALAR_BYTES)
  for (const [i, slot] of [field.subarray(0, SLOT_BYTES), field.subarray(SLOT_BYTES, 2 * SLOT_BYTES)].entries()) {
    const scalar = slot.slice(0, SCALAR_BYTES).reverse()
    const value = scalar.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n)
    if (value === 0n || value >= P384_ORDER || !isZero(slot.subarray(SCALAR_BYTES))) return undefined
    signature.set(scalar, i * SCALAR_BYTES)
  }
  return isZero(field.subarray(2 * SLOT_BYTES)) ? signature : undefined
}
