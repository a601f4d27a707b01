/** An event stream on a grid of time: pieces of a shaper, one for each tick, from the first to the end. */
import { Readable, finished } from 'node:stream'
import type { Shaping } from '../config/settings/formats.ts'
import { createShaper } from './shaper.ts'

/** Calls `tick` again and again, until it is stopped. */
export type Grid = (interval: number, tick: () => void) => () => void

/**
 * The source, shaped. It ends at a tick, errors where the source does, and then at once. Reads ahead no more than one
 * tick may take along; a reader that is slower than the grid gets a piece at the next tick after it wants one. The
 * source is closed with it.
 */
export function shapeStream (source: Readable, { interval, size }: Shaping, grid: Grid = realTime): Readable {
  const shaper = createShaper(size)
  let isWanted = true
  const result = new Readable({
    read () { isWanted = true },
    destroy (error, done) {
      stop()
      source.off('data', take).off('end', shaper.end)
      source.destroy()
      done(error)
    }
  })
  const stop = grid(interval, () => {
    if (!isWanted) return
    const piece = shaper.tick()
    if (piece !== undefined) isWanted = result.push(piece)
    if (shaper.isDone) {
      stop()
      result.push(null)
    } else if (shaper.held < shaper.most) source.resume()
  })

  function take (piece: Buffer): void {
    shaper.push(piece)
    if (shaper.held >= shaper.most) source.pause()
  }

  // It may fail before anyone reads it: a reader that comes later finds that in the stream.
  result.on('error', () => undefined)
  finished(source, { writable: false }, error => { if (error) result.destroy(error) })
  source.on('data', take).on('end', shaper.end)
  return result
}

/** At multiples of the interval from now. What is late is left out: it would show that the process was busy. */
function realTime (interval: number, tick: () => void): () => void {
  const begun = performance.now()
  let timer: NodeJS.Timeout
  let ticks = 0

  function schedule (): void {
    const passed = performance.now() - begun
    // A timer may fire a little early.
    ticks = Math.max(ticks, Math.floor(passed / interval)) + 1
    timer = setTimeout(run, ticks * interval - passed)
  }

  function run (): void {
    schedule()
    tick()
  }

  schedule()
  return () => clearTimeout(timer)
}
