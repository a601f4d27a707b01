/** A message is held in memory of about its size, in whatever pieces it arrives, and all of that memory is counted. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createCollector } from '../../../lib/streams/collector.ts'

/** Puts pieces into a collector; what was counted beside what is held. */
function collect (pieces: readonly Buffer[], most = 2 ** 30) {
  let held = 0
  const collector = createCollector(most, bytes => { held += bytes })
  for (const piece of pieces) collector.push(piece)
  const { length } = collector
  const blocks = collector.blocks()
  return { blocks, length, held, memory: blocks.reduce((sum, { buffer }) => sum + buffer.byteLength, 0) }
}

/** In memory of its own: Node cuts small Buffers out of larger ones. */
const own = (bytes: Uint8Array) => Buffer.from(new Uint8Array(bytes).buffer)

const cut = (whole: Buffer, size: number) => Array.from({ length: Math.ceil(whole.length / size) }, (_, i) =>
  own(whole.subarray(i * size, (i + 1) * size)))

t.test('the bytes come out as they went in, and every byte of memory is counted', async t => {
  fc.assert(fc.property(fc.array(
    fc.oneof(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 70_000 })), { maxLength: 40 }
  ), sizes => {
    const pieces = sizes.map(size => own(randomBytes(size)))
    const { blocks, length, held, memory } = collect(pieces)
    t.ok(Buffer.concat(blocks).equals(Buffer.concat(pieces)))
    t.equal(length, Buffer.concat(pieces).length)
    t.equal(memory, held)
  }))
})

for (const size of [1, 2, 3, 1023, 1024, 4095, 4096, 65_535, 65_536]) {
  t.test(`1 MiB in pieces of ${size} bytes takes no more than a block beyond 1 MiB, and few blocks`, async t => {
    const { blocks, held } = collect(cut(randomBytes(2 ** 20), size))
    t.ok(held <= 2 ** 20 + 2 ** 16, `${held} bytes`)
    t.ok(blocks.length <= 2 ** 20 / 4096 + 2, `${blocks.length} blocks`)
  })
}

t.test('a message as long as it may be takes no more than its length', async t => {
  for (const length of [1, 1000, 5000, 2 ** 16 + 1, 2 ** 20]) {
    for (const size of [1, 4095, 65_535]) {
      t.equal(collect(cut(randomBytes(length), size), length).held, length, `${length} in pieces of ${size}`)
    }
  }
})

t.test('a short message takes little more than its own size, whatever its pieces', async t => {
  for (const length of [1, 10, 1000, 5000]) {
    const { held } = collect(cut(randomBytes(length), 1))
    t.ok(held <= 1024 + 2 * length, `${held} bytes for ${length}`)
  }
})

t.test('what is too much is refused before it is kept', async t => {
  const collector = createCollector(10_000, bytes => { if (bytes > 2000) throw new Error('too much') })
  collector.push(Buffer.alloc(100))
  t.throws(() => collector.push(Buffer.alloc(5000)), 'a block')
  t.throws(() => createCollector(10_000, () => { throw new Error('too much') }).push(Buffer.alloc(1)))
})
