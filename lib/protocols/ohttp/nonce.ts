/** The nonce of the n-th message under one key. */
import type { Bytes } from '../bytes.ts'

/**
 * base XOR sequence, the latter as a big-endian number (RFC 9180, section 5.2; Chunked OHTTP counts its response chunks
 * alike). It has the length of base, at least 8.
 */
export function computeNonce (base: Uint8Array, sequence: number): Bytes {
  if (!Number.isSafeInteger(sequence)) throw new RangeError('Too many messages under one key')
  const nonce = new Uint8Array(base)
  let rest = sequence
  for (let i = nonce.length - 1; rest > 0; i--) {
    nonce[i] = (nonce[i] ?? 0) ^ (rest % 0x100)
    rest = Math.floor(rest / 0x100)
  }
  return nonce
}
