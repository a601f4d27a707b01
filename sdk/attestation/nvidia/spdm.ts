/**
 * The evidence of an NVIDIA GPU: an SPDM 1.1 GET_MEASUREMENTS request and the MEASUREMENTS response to it, one after
 * the other (DMTF DSP0274, section 10.11). Integers are little-endian.
 *
 *     request  = 11 e0 01 ff || nonce (32) || slot (1)
 *     response = 11 60 || parameters (2) || number of blocks (1) || length of the record (3) || record || nonce (32)
 *                || length of the opaque data (2) || opaque data || signature (96)
 *     record   = (index (1) || specification (1) || length (2) || value)*
 *     opaque   = (type (2) || length (2) || value)*
 */
import type { Bytes } from '../../../lib/protocols/bytes.ts'

/** SPDM 1.1 GET_MEASUREMENTS, with a signature, of all measurements. */
const REQUEST = [0x11, 0xe0, 0x01, 0xff]
/** SPDM 1.1 MEASUREMENTS. */
const RESPONSE = [0x11, 0x60]
const NONCE_BYTES = 32
const REQUEST_BYTES = REQUEST.length + NONCE_BYTES + 1
/** Version, code, two parameters, number of blocks, length of the record. */
const RESPONSE_HEAD_BYTES = 8
/** r and s, P-384. */
const SIGNATURE_BYTES = 96
export const MAX_EVIDENCE_BYTES = 64 * 1024

/** Types of opaque data that are read. */
const DRIVER_VERSION = 3
const VBIOS_VERSION = 6
const CHIP_VARIANT = 15
const BOARD = 17
const FIRMWARE_ID = 20
/** VBIOS versions come as 8 bytes, of which 5 are printed. */
const VBIOS_BYTES = 8
const VBIOS_PRINTED = [3, 2, 1, 0, 4] as const

export interface GpuEvidence {
  /** What the signature is over: the request, and the response without its signature. */
  readonly signed: Bytes
  /** r and s, as WebCrypto takes them. */
  readonly signature: Bytes
  /** 32 bytes: the requester's. */
  readonly nonce: Bytes
  readonly measurements: ReadonlyMap<number, Bytes>
  /** E.g. '570.172.08'. */
  readonly driver: string
  /** E.g. '96.00.CF.00.02', as NVIDIA prints it. */
  readonly vbios: string
  /** The board and the variant of the chip, e.g. 'G520' and '885'. For people: nothing is decided by them. */
  readonly board: string | undefined
  readonly variant: string | undefined
  /** Digest of the firmware that was loaded, which the leaf certificate names, too (DICE). */
  readonly firmwareId: Bytes | undefined
}

/** These bytes are no evidence of a GPU. The message repeats nothing of them. */
export class GpuEvidenceError extends Error {
  override readonly name = 'GpuEvidenceError'
  readonly code = 'ERR_GPU_EVIDENCE'

  constructor (detail: string, options?: ErrorOptions) {
    super(`Not the evidence of a GPU: ${detail}`, options)
  }
}

/**
 * Reads evidence. Every length has to add up to the last byte; nothing is verified.
 *
 * @throws {GpuEvidenceError}
 */
export function parseGpuEvidence (bytes: Uint8Array): GpuEvidence {
  if (bytes.length > MAX_EVIDENCE_BYTES) throw new GpuEvidenceError('it is too long')
  const evidence = Uint8Array.from(bytes)
  const reader = createReader(evidence)
  expect(reader.take(REQUEST.length), REQUEST, 'the request is no SPDM 1.1 request for all signed measurements')
  const nonce = reader.take(NONCE_BYTES)
  reader.take(REQUEST_BYTES - REQUEST.length - NONCE_BYTES)
  const head = reader.take(RESPONSE_HEAD_BYTES)
  expect(head.subarray(0, RESPONSE.length), RESPONSE, 'the response is no SPDM 1.1 response with measurements')
  const record = reader.take(littleEndian(head.subarray(5)))
  reader.take(NONCE_BYTES)
  const opaque = reader.take(littleEndian(reader.take(2)))
  const signed = evidence.subarray(0, evidence.length - reader.left())
  const signature = reader.take(SIGNATURE_BYTES)
  if (reader.left() > 0) throw new GpuEvidenceError('bytes follow the signature')
  const fields = parseOpaque(opaque)
  return {
    signed,
    signature,
    nonce,
    measurements: parseRecord(record, head[4] ?? 0),
    driver: driverVersion(required(fields, DRIVER_VERSION, 'driver version')),
    vbios: vbiosVersion(required(fields, VBIOS_VERSION, 'VBIOS version')),
    board: text(fields.get(BOARD)),
    variant: text(fields.get(CHIP_VARIANT)),
    firmwareId: fields.get(FIRMWARE_ID)
  }
}

function parseRecord (record: Bytes, count: number): Map<number, Bytes> {
  const blocks = new Map<number, Bytes>()
  const reader = createReader(record)
  while (reader.left() > 0) {
    const [index = 0] = reader.take(2)
    if (blocks.has(index)) throw new GpuEvidenceError('a measurement occurs twice')
    blocks.set(index, reader.take(littleEndian(reader.take(2))))
  }
  if (blocks.size !== count || count === 0) {
    throw new GpuEvidenceError('the number of measurements is not the one it announces')
  }
  return blocks
}

function parseOpaque (opaque: Bytes): Map<number, Bytes> {
  const fields = new Map<number, Bytes>()
  const reader = createReader(opaque)
  while (reader.left() > 0) {
    const type = littleEndian(reader.take(2))
    if (fields.has(type)) throw new GpuEvidenceError('a field of the opaque data occurs twice')
    fields.set(type, reader.take(littleEndian(reader.take(2))))
  }
  return fields
}

function required (fields: ReadonlyMap<number, Bytes>, type: number, name: string): Bytes {
  const value = fields.get(type)
  if (!value) throw new GpuEvidenceError(`it has no ${name}`)
  return value
}

function driverVersion (bytes: Bytes): string {
  const version = text(bytes)
  if (version === undefined) throw new GpuEvidenceError('its driver version is no text')
  return version
}

/** Printable ASCII, up to the first zero byte, behind which nothing else may be. */
function text (bytes: Bytes | undefined): string | undefined {
  if (bytes === undefined || bytes.length > 80) return undefined
  return /^([\x21-\x7e]{1,64})\0*$/.exec(String.fromCharCode(...bytes))?.[1]
}

function vbiosVersion (bytes: Bytes): string {
  if (bytes.length !== VBIOS_BYTES) throw new GpuEvidenceError('its VBIOS version is no version')
  return VBIOS_PRINTED.map(at => (bytes[at] ?? 0).toString(16).toUpperCase().padStart(2, '0')).join('.')
}

interface Reader {
  /** @throws {GpuEvidenceError} fewer are left */
  take (length: number): Bytes
  left (): number
}

function createReader (bytes: Bytes): Reader {
  let at = 0
  return {
    take (length) {
      if (length > bytes.length - at) throw new GpuEvidenceError('it ends too early')
      at += length
      return bytes.subarray(at - length, at)
    },
    left: () => bytes.length - at
  }
}

function littleEndian (bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0)
}

function expect (bytes: Uint8Array, expected: readonly number[], detail: string): void {
  if (!expected.every((byte, i) => bytes[i] === byte)) throw new GpuEvidenceError(detail)
}
