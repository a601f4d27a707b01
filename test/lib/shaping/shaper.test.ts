/**
 * What leaves of a shaped event stream has lengths that tell nothing but a number of units, does not depend on how the
 * workload cuts its stream, and is the same events to a parser.
 */
import { createParser } from 'eventsource-parser'
import type { EventSourceMessage } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import { createShaper } from '../../../lib/shaping/shaper.ts'
import { cut } from '../../fixtures/vectors.ts'

/** Pieces by tick. What comes before each tick is cut at these offsets; the last pieces come after the end. */
function shape (ticks: readonly Uint8Array[], size: number, offsets: readonly number[] = []): (Buffer | undefined)[] {
  const shaper = createShaper(size)
  const pieces: (Buffer | undefined)[] = []
  for (const bytes of ticks) {
    for (const piece of cut(bytes, offsets)) shaper.push(piece)
    pieces.push(shaper.tick())
  }
  shaper.end()
  while (!shaper.isDone) pieces.push(shaper.tick())
  return pieces
}

function eventsOf (stream: Uint8Array): EventSourceMessage[] {
  const events: EventSourceMessage[] = []
  const parser = createParser({ onEvent: event => events.push(event) })
  parser.feed(new TextDecoder().decode(stream))
  // Behind a CR at the end, the parser waits for a line feed. A comment shows it that there is none.
  parser.feed(':\n')
  return events
}

function texts (pieces: readonly (Buffer | undefined)[]): (string | undefined)[] {
  return pieces.map(piece => piece?.toString())
}

const cases: ReadonlyArray<readonly [name: string, ticks: readonly string[], expected: readonly string[]]> = [
  ['nothing at all', [], [':      \n']],
  ['a tick without events', [''], [':      \n', ':      \n']],
  ['a line that fits', ['data:ab\n'], ['data:ab\n', ':      \n']],
  ['one byte is missing, which no comment has', ['data:a\n'], ['data:a\n:       \n', ':      \n']],
  ['two bytes are missing', ['data:\n'], ['data:\n:\n', ':      \n']],
  ['more than one unit', ['data:abc\n\n'], ['data:abc\n\n:    \n', ':      \n']],
  ['half a line waits', ['data:', 'ab\n'], [':      \n', 'data:ab\n', ':      \n']],
  [
    'the end of a line that may be half of one waits', ['data:a\r', '\n\r\n'],
    [':      \n', 'data:a\r\n\r\n:    \n', ':      \n']
  ],
  ['lines that end with CR alone', ['data:a\rid:1\rx'], ['data:a\rid:1\r:  \n', 'x\n:    \n']],
  ['the last line is ended', ['data:ab'], [':      \n', 'data:ab\n']],
  ['a mark of the byte order is left out', ['\ufeffdata:ab\n'], ['data:ab\n', ':      \n']]
]
for (const [name, ticks, expected] of cases) {
  t.test(name, async t => {
    const pieces = texts(shape(ticks.map(text => Buffer.from(text)), 8))
    t.ok(pieces.every(piece => (piece?.length ?? 0) % 8 === 0))
    t.same(pieces, expected)
  })
}

t.test('a burst leaves in as many ticks as it takes, and a line that is too long in units', async t => {
  const most = 64 * 1024
  const lines = Buffer.from('data: 0123456789\n'.repeat(10_000))
  const burst = shape([lines], 256)
  t.equal(burst.length, 3)
  t.ok(burst.every(piece => piece !== undefined && piece.length % 256 === 0 && piece.length <= most + 256))
  t.same(eventsOf(Buffer.concat(burst.map(piece => piece ?? Buffer.alloc(0)))), eventsOf(lines))

  const shaper = createShaper(256)
  const long = `data: ${'x'.repeat(most)}`
  shaper.push(Buffer.from(long))
  t.equal(shaper.tick()?.length, most)
  t.equal(shaper.tick(), undefined, 'a comment would be part of the line')
  shaper.push(Buffer.from('y\n\n'))
  const rest = shaper.tick()
  t.equal(rest?.length, 256)
  t.match(rest?.toString(), /^x{6}y\n\n: +\n$/)
})

/** Event streams as they come, and as they should not. */
const line = fc.oneof(
  fc.string().map(text => `data: ${text.replaceAll(/[\r\n]/g, '')}`),
  fc.constantFrom('', '', '', 'data', 'event: x', ': comment', 'id: 1', 'retry: 1000', 'x', 'data:{"a":1}')
)
const newline = fc.constantFrom('\n', '\n', '\r\n', '\r')
const stream = fc.tuple(fc.array(fc.tuple(line, newline)), fc.constantFrom('', '\ufeff'))
  .map(([lines, mark]) => Buffer.from(mark + lines.flat().join('')))
const sizes = fc.integer({ min: 2, max: 300 })
const cuts = fc.array(fc.nat(400))

t.test('what leaves does not depend on how the stream is cut, if each tick has the same bytes', async t => {
  const bytes = fc.oneof(stream, fc.uint8Array({ maxLength: 400 }).map(bytes => Buffer.from(bytes)))
  fc.assert(fc.property(bytes, cuts, sizes, cuts, (bytes, ticks, size, offsets) => {
    const total = cut(bytes, ticks)
    t.same(shape(total, size, offsets), shape(total, size))
  }))
})

t.test('a parser reads the same events, whatever comes when', async t => {
  fc.assert(fc.property(stream, cuts, sizes, (bytes, ticks, size) => {
    const pieces = shape(cut(bytes, ticks), size)
    t.ok(pieces.every(piece => piece !== undefined && piece.length > 0 && piece.length % size === 0))
    // Of a CR at the very end, a parser does not know whether it is all of the end of the line.
    const ended = Buffer.concat([bytes, Buffer.from(':\n')])
    t.same(eventsOf(Buffer.concat(pieces.map(piece => piece ?? Buffer.alloc(0)))), eventsOf(ended))
  }))
})

t.test('without the comments, what leaves is what came, to the byte', async t => {
  const clean = fc.array(fc.string().map(text => `data: ${text.replaceAll(/[\r\n]/g, '')}\n\n`)).map(all => all.join(''))
  fc.assert(fc.property(clean, cuts, sizes, (text, ticks, size) => {
    const pieces = shape(cut(Buffer.from(text), ticks), size)
    t.equal(texts(pieces).join('').replaceAll(/^: *\n/gm, ''), text)
  }))
})

t.test('whatever bytes come, it holds no more than was not sent, and comes to an end', async t => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 2000 })), sizes, (ticks, size) => {
    const shaper = createShaper(size)
    let sum = 0
    for (const bytes of ticks) {
      shaper.push(bytes)
      sum += bytes.length
      shaper.tick()
      if (shaper.held > sum) throw new Error('made up')
    }
    shaper.end()
    for (let i = 0; !shaper.isDone; i++) {
      if (i > 3) throw new Error('no end')
      shaper.tick()
    }
    t.equal(shaper.held, 0)
  }))
})
