/**
 * Random nonces, from a pool: a call of Node's generator costs as much for 16 bytes as for thousands, 2.4 µs or, in a
 * process that does much else, several times that (docs/decisions/0024-what-the-benchmarks-taught.md). They are sent in
 * the clear, so that it is enough for each to be given out once.
 */
import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(4096)
let used = pool.length

/** @param length at most 4096 */
export function randomNonce (length: number): Buffer {
  if (length > pool.length) throw new RangeError('At most 4096 bytes')
  if (used + length > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const nonce = Buffer.from(pool.subarray(used, used + length))
  used += length
  return nonce
}
