/** A shaped stream keeps to its grid, waits for slow readers, bounds what it holds, and ends as its source does. */
import { Readable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { shapeStream } from '../../../lib/shaping/stream.ts'
import type { Grid } from '../../../lib/shaping/stream.ts'
import { cut } from '../../fixtures/vectors.ts'

const shaping = { interval: 10, size: 16 }
/** Streams hand their pieces on in turns of the event loop. */
const settled = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

/** A grid whose ticks the test makes. */
function handMade (): { grid: Grid, tick: () => Promise<void>, isStopped: () => boolean } {
  let run: (() => void) | undefined
  return {
    grid (_interval, tick) {
      run = tick
      return () => { run = undefined }
    },
    async tick () {
      await settled()
      run?.()
      await settled()
    },
    isStopped: () => run === undefined
  }
}

function sourceOf (): Readable {
  return new Readable({ read: () => undefined })
}

t.test('a piece for each tick, however the source is cut, and the end with the last one', async t => {
  const line = fc.string().map(text => `data: ${text.replaceAll(/[\r\n]/g, '')}\n\n`)
  await fc.assert(fc.asyncProperty(
    fc.array(fc.array(line), { maxLength: 4 }), fc.array(fc.nat(60)), async (ticks, offsets) => {
      const runs = await Promise.all([[], offsets].map(async offsets => {
        const source = sourceOf()
        const { grid, tick, isStopped } = handMade()
        const pieces: string[] = []
        const shaped = shapeStream(source, shaping, grid).on('data', (piece: Buffer) => pieces.push(piece.toString()))
        for (const lines of ticks) {
          for (const piece of cut(Buffer.from(lines.join('')), offsets)) source.push(piece)
          await tick()
        }
        source.push(null)
        await tick()
        await settled()
        t.ok(shaped.readableEnded && isStopped())
        return pieces
      }))
      t.same(runs[0], runs[1])
      t.equal(runs[0]?.length, ticks.length + 1)
    }
  ), { numRuns: 30 })
})

t.test('nothing leaves between two ticks', async t => {
  const source = sourceOf()
  const { grid, tick } = handMade()
  const pieces: Buffer[] = []
  shapeStream(source, shaping, grid).on('data', (piece: Buffer) => pieces.push(piece))
  for (let i = 1; i < 4; i++) {
    source.push('data: 1\n\n')
    await settled()
    t.equal(pieces.length, i - 1)
    await tick()
    t.equal(pieces.length, i)
  }
  source.push(null)
})

t.test('a source that breaks off breaks the stream, and one that nobody wants is closed', async t => {
  for (const end of ['source', 'result'] as const) {
    const source = sourceOf()
    const { grid, isStopped } = handMade()
    const shaped = shapeStream(source, shaping, grid)
    shaped.resume()
    if (end === 'source') source.destroy(new Error('broken'))
    else shaped.destroy()
    await settled()
    t.ok(source.destroyed && shaped.destroyed && isStopped())
    t.equal(shaped.errored?.message, end === 'source' ? 'broken' : undefined)
  }
  const closed = sourceOf()
  const shaped = shapeStream(closed, shaping, handMade().grid)
  closed.destroy()
  await settled()
  t.match(shaped.errored, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
})

t.test('a reader that takes nothing, and a source that does not stop, cost no more than a few ticks', async t => {
  let sent = 0
  const source = new Readable({
    read () {
      sent += 4096
      this.push(Buffer.from(`data: ${'x'.repeat(4088)}\n\n`))
    }
  })
  const { grid, tick } = handMade()
  const shaped = shapeStream(source, shaping, grid)
  for (let i = 0; i < 50; i++) await tick()
  t.ok(sent < 512 * 1024, `${sent} bytes`)
  t.ok(shaped.readableLength < 256 * 1024, `${shaped.readableLength} bytes`)
  shaped.destroy()
})

t.test('the grid of real time goes on until the end, and has no ticks in between', async t => {
  const source = sourceOf()
  const times: number[] = []
  const shaped = shapeStream(source, { interval: 20, size: 16 }).on('data', () => times.push(performance.now()))
  source.push('data: 1\n\n')
  await new Promise(resolve => setTimeout(resolve, 100))
  source.push(null)
  await new Promise(resolve => shaped.once('end', resolve))
  t.ok(times.length > 1)
  t.ok(times.every((time, i) => i === 0 || time - times[i - 1]! > 1))
})
