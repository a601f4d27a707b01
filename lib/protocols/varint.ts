/** QUIC variable-length integers (RFC 9000, section 16): 1, 2, 4 or 8 octets, the length in the first two bits. */
import type { Bytes } from './bytes.ts'

/** Octets of the shortest encoding of value, a non-negative safe integer. */
export function varintLength (value: number): 1 | 2 | 4 | 8 {
  if (value < 0x40) return 1
  if (value < 0x4000) return 2
  if (value < 0x4000_0000) return 4
  return 8
}

const LENGTH_BITS = { 1: 0x00, 2: 0x40, 4: 0x80, 8: 0xc0 }

/** Writes the shortest encoding of value at the offset and returns the offset after it. */
export function writeVarint (target: Uint8Array, value: number, offset: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('A varint holds a non-negative safe integer')
  const length = varintLength(value)
  let rest = value
  for (let i = length - 1; i >= 0; i--) {
    target[offset + i] = rest % 0x100
    rest = Math.floor(rest / 0x100)
  }
  target[offset] = (target[offset] ?? 0) | LENGTH_BITS[length]
  return offset + length
}

export function encodeVarint (value: number): Bytes {
  const bytes = new Uint8Array(varintLength(value))
  writeVarint(bytes, value, 0)
  return bytes
}

/** Octets of the encoding that starts with this octet. */
export function varintLengthFrom (first: number): number {
  return 1 << (first >>> 6)
}

/**
 * Reads a whole encoding; longer than necessary is legal. Above 2^53 the result is not exact: still far over every
 * limit that it is compared with.
 */
export function decodeVarint (bytes: Uint8Array): number {
  let value = (bytes[0] ?? 0) & 0x3f
  for (let i = 1; i < bytes.length; i++) value = value * 0x100 + (bytes[i] ?? 0)
  return value
}
