/** Variable-length integers of RFC 9000, and the queue that bytes are taken from. */
import t from 'tap'
import fc from 'fast-check'
import { ByteQueue } from '../../../lib/protocols/byte-queue.ts'
import { decodeVarint, encodeVarint, varintLength } from '../../../lib/protocols/varint.ts'
import { cut, cuts, hex, unhex } from '../../fixtures/vectors.ts'

t.test('the examples of RFC 9000, appendix A.1, are read and written', async t => {
  const examples: [string, number][] = [
    ['9d7f3e7d', 494878333], ['7bbd', 15293], ['25', 37]
  ]
  for (const [bytes, value] of examples) {
    t.equal(decodeVarint(unhex(bytes)), value)
    t.equal(hex(encodeVarint(value)), bytes)
  }
  t.equal(decodeVarint(unhex('4025')), 37, 'an encoding longer than necessary is legal')
  t.equal(decodeVarint(unhex('c2197c5eff14e88c')), Number(151288809941952652n), 'above 2^53 rounded')
})

t.test('values at the boundaries take the shortest length', async t => {
  const boundaries: [number, number][] = [
    [0, 1], [0x3f, 1], [0x40, 2], [0x3fff, 2], [0x4000, 4], [0x3fff_ffff, 4], [0x4000_0000, 8],
    [Number.MAX_SAFE_INTEGER, 8]
  ]
  for (const [value, length] of boundaries) {
    t.equal(varintLength(value), length)
    t.equal(encodeVarint(value).length, length)
    t.equal(decodeVarint(encodeVarint(value)), value)
  }
  for (const value of [-1, 0.5, NaN, 2 ** 53, Infinity]) t.throws(() => encodeVarint(value), RangeError)
})

t.test('a queue gives back what went in, whatever the pieces', async t => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), cuts, fc.array(
    fc.integer({ min: 0, max: 40 })
  ), (bytes, offsets, takes) => {
    const queue = new ByteQueue()
    const wanted = [...takes]
    const out: Uint8Array[] = []
    for (const piece of cut(bytes, offsets)) {
      queue.push(Uint8Array.from(piece))
      for (;;) {
        const taken = wanted.length > 0 ? queue.take(wanted[0] ?? 0) : queue.takeSome(7)
        if (taken === undefined) break
        wanted.shift()
        out.push(Uint8Array.from(taken))
      }
    }
    t.equal(queue.length, bytes.length - Buffer.concat(out).length)
    out.push(queue.take(queue.length) ?? new Uint8Array())
    return Buffer.concat(out).equals(bytes)
  }))
})
