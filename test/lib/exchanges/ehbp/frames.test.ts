/**
 * The framing of EHBP bodies, however they are cut: sizes at the boundaries, truncation anywhere, memory that is held.
 */
import fc from 'fast-check'
import t from 'tap'
import { createFrameReader } from '../../../../lib/exchanges/ehbp/frames.ts'
import { Problem } from '../../../../lib/http/problems.ts'
import { createByteBudget } from '../../../../lib/streams/budget.ts'
import { frame } from '../../../fixtures/ehbp-client.ts'
import { cut, cuts, oneByOne } from '../../../fixtures/vectors.ts'

const MOST = 1000

async function * arriving (pieces: readonly Uint8Array[]): AsyncGenerator<Buffer, undefined, void> {
  for (const piece of pieces) yield Buffer.from(piece)
  return undefined
}

/** Lengths of the frames, then the code of the problem if there was one; what is held afterwards. */
async function read (
  pieces: readonly Uint8Array[], limit = 1_000_000
): Promise<{ read: (number | string)[], held: number }> {
  const budget = createByteBudget(limit)
  const frames = createFrameReader(arriving(pieces), budget, MOST)
  const read: (number | string)[] = []
  try {
    for (let next = await frames.next(); next !== undefined; next = await frames.next()) {
      read.push(next.ciphertext.length)
      next.release()
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    read.push(error.code)
  }
  return { read, held: budget.used }
}

const zeros = (length: number) => frame(Buffer.alloc(length))

const cases: [name: string, body: Buffer, expected: (number | string)[]][] = [
  ['nothing', Buffer.alloc(0), []],
  ['a length of 0', zeros(0), []],
  ['a frame of a tag alone', zeros(16), [16]],
  ['a frame that is shorter than a tag', zeros(15), ['cannot-open']],
  ['a frame of one byte', zeros(1), ['cannot-open']],
  ['the largest frame', zeros(MOST), [MOST]],
  ['a frame that is too large', zeros(MOST + 1), ['body-too-large']],
  ['the largest length there is', Buffer.from('ffffffff', 'hex'), ['body-too-large']],
  [
    'frames with lengths of 0 between them',
    Buffer.concat([zeros(0), zeros(17), zeros(0), zeros(0), zeros(18), zeros(0)]), [17, 18]
  ]
]

for (const [name, body, expected] of cases) {
  t.test(`${name}: ${expected.join(', ') || 'no frame'}, however it is cut`, async t => {
    t.strictSame(await read([body]), { read: expected, held: 0 })
    t.strictSame(await read(oneByOne(body)), { read: expected, held: 0 })
    await fc.assert(fc.asyncProperty(cuts, async offsets => {
      t.strictSame(await read(cut(body, offsets)), { read: expected, held: 0 })
    }), { numRuns: 30 })
  })
}

t.test('a body that ends anywhere but behind a frame is refused, and gives its memory back', async t => {
  const body = Buffer.concat([zeros(20), zeros(0), zeros(30)])
  const whole: Record<number, number[]> = { 0: [], 24: [20], 28: [20] }
  for (let end = 0; end < body.length; end++) {
    const expected = whole[end] ?? [...end > 24 ? [20] : [], 'cannot-open']
    t.strictSame(await read([body.subarray(0, end)]), { read: expected, held: 0 }, `after ${end} bytes`)
    t.strictSame(await read(oneByOne(body.subarray(0, end))), { read: expected, held: 0 }, `after ${end} single bytes`)
  }
})

t.test('a frame takes memory as it arrives, not as it announces', async t => {
  t.strictSame((await read([zeros(500).subarray(0, 5)], 1200)).read, ['cannot-open'])
  t.strictSame((await read(cut(zeros(900), [100, 200]), 800)).read, ['overloaded'])
})
