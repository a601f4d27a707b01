/**
 * The SEV-SNP attestation report (AMD 56860, "SEV Secure Nested Paging Firmware ABI Specification", table
 * ATTESTATION_REPORT): 1184 octets, little-endian.
 */

type Octets = Uint8Array<ArrayBuffer>

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
  readonly policy: { readonly debug: boolean, readonly migration: boolean }
  readonly vmpl: number
  /** 1: ECDSA P-384 with SHA-384. */
  readonly signatureAlgorithm: number
  /** 0: VCEK, the chip's own key; 1: VLEK, the cloud provider's. */
  readonly signingKey: number
  /** 64 octets. */
  readonly reportData: Octets
  /** 48 octets. */
  readonly measurement: Octets
  /** 32 octets. */
  readonly hostData: Octets
  /** 8 octets: the TCB version that the signing key was derived for. Their order depends on the product. */
  readonly reportedTcb: Octets
  /** 8 octets: the TCB version when the guest was launched, in the same order. */
  readonly launchTcb: Octets
  /** 64 octets; zero where the host masks it. */
  readonly chipId: Octets
  readonly signed: Octets
  /** r || s, big-endian, as WebCrypto reads it; undefined where either is out of range or the padding is not zero. */
  readonly signature: Octets | undefined
}

/** @throws {RangeError} it has another length, or a version that this code does not know */
export function parseSnpReport (report: Octets): SnpReport {
  if (report.length !== SNP_REPORT_BYTES) throw new RangeError(`A report has ${SNP_REPORT_BYTES} octets, this one ${report.length}`)
  const view = new DataView(report.buffer, report.byteOffset, report.byteLength)
  const version = view.getUint32(0x00, true)
  if (version < 2 || version > 5) throw new RangeError(`Reports of version ${version} are not known`)
  const policy = view.getBigUint64(0x08, true)
  return {
    version,
    guestSvn: view.getUint32(0x04, true),
    policy: { migration: bit(policy, 18n), debug: bit(policy, 19n) },
    vmpl: view.getUint32(0x30, true),
    signatureAlgorithm: view.getUint32(0x34, true),
    signingKey: view.getUint32(0x48, true) >> 2 & 7,
    reportData: report.subarray(0x50, 0x90),
    measurement: report.subarray(0x90, 0xc0),
    hostData: report.subarray(0xc0, 0xe0),
    reportedTcb: report.subarray(0x180, 0x188),
    launchTcb: report.subarray(0x1f0, 0x1f8),
    chipId: report.subarray(0x1a0, 0x1e0),
    signed: report.subarray(0, SIGNED_BYTES),
    signature: readSignature(report.subarray(SIGNED_BYTES))
  }
}

function bit (value: bigint, at: bigint): boolean {
  return (value >> at & 1n) === 1n
}

function readSignature (field: Octets): Octets | undefined {
  const signature = new Uint8Array(2 * SCALAR_BYTES)
  for (const [i, slot] of [field.subarray(0, SLOT_BYTES), field.subarray(SLOT_BYTES, 2 * SLOT_BYTES)].entries()) {
    const scalar = slot.slice(0, SCALAR_BYTES).reverse()
    const value = scalar.reduce((number, octet) => number << 8n | BigInt(octet), 0n)
    if (value === 0n || value >= P384_ORDER || !isZero(slot.subarray(SCALAR_BYTES))) return undefined
    signature.set(scalar, i * SCALAR_BYTES)
  }
  return isZero(field.subarray(2 * SLOT_BYTES)) ? signature : undefined
}

export function isZero (octets: Uint8Array): boolean {
  return octets.every(octet => octet === 0)
}
