/**
 * HMAC-SHA256 and HKDF for the short inputs of key schedules. In Node 24 the set-up of `createHmac` (6.5 µs with a new
 * key) and `hkdfSync` (12 µs) costs several times what the hashing does, and so does every Buffer that a digest is
 * returned in; two one-shot hashes that return strings make the same HMAC in 1.6 µs (bench/primitives.ts;
 * docs/decisions/0021-own-hmac.md).
 */
import { hash } from 'node:crypto'

/** Octets of a block and of a digest of SHA-256. */
const BLOCK = 64
export const Nh = 32
/** The longest message: an expansion over a key schedule context takes about 130. */
const LONGEST = 512

// Reused, as everything below is synchronous, and wiped after each use: they hold keys.
const inner = Buffer.alloc(BLOCK + LONGEST)
const outer = Buffer.alloc(BLOCK + Nh)

/** RFC 2104 over the parts in order, at most 512 octets together. */
export function hmacSha256 (key: Uint8Array, ...message: readonly Uint8Array[]): Buffer {
  const short = key.length > BLOCK ? hash('sha256', key, 'buffer') : key
  for (let i = 0; i < BLOCK; i++) {
    const octet = short[i] ?? 0
    inner[i] = octet ^ 0x36
    outer[i] = octet ^ 0x5c
  }
  let length = BLOCK
  for (const part of message) {
    inner.set(part, length)
    length += part.length
  }
  outer.write(hash('sha256', inner.subarray(0, length), 'binary'), BLOCK, 'latin1')
  const mac = Buffer.allocUnsafe(Nh)
  mac.write(hash('sha256', outer, 'binary'), 0, 'latin1')
  inner.fill(0, 0, length)
  outer.fill(0)
  return mac
}

/** HKDF-Extract (RFC 5869, section 2.2). */
export function extract (salt: Uint8Array, ...ikm: readonly Uint8Array[]): Buffer {
  return hmacSha256(salt, ...ikm)
}

const ONE = Uint8Array.of(1)

/** HKDF-Expand (RFC 5869, section 2.3) to at most 32 octets, which is one round. */
export function expand (prk: Uint8Array, length: number, ...info: readonly Uint8Array[]): Buffer {
  if (length > Nh) throw new RangeError('Only one round of HKDF-Expand is needed here')
  return hmacSha256(prk, ...info, ONE).subarray(0, length)
}
