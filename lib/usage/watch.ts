/** Shows an answer to a reader of usage on its way. What passes is what came, piece by piece. */
import { Readable, finished } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { arrived } from '../streams/arrived.ts'
import { HIGH_WATER_MARK } from '../streams/convert.ts'
import type { Usage } from './counts.ts'
import type { UsageReader } from './reader.ts'

/** An answer whose length is known and small is waited for so long, in milliseconds: its usage can go ahead of it. */
const PATIENCE = 100
/** How often it is looked for. A stream can be asked, and not listened to, without taking something of it. */
const STEP = 5
/** As much as a stream holds anyway before anything reads it. */
const MAX_BYTES = 64 * 1024

/**
 * All of a short answer, if it is there or about to be: otherwise undefined, and nothing was taken. Workloads often
 * write the head by itself, and the rest right after it.
 *
 * @param length as the workload announces it; undefined for a stream
 */
export async function arrivedSoon (body: Readable, length: number | undefined): Promise<Buffer | undefined> {
  if (length === undefined || length > MAX_BYTES) return undefined
  const whole = await arrived(body, length)
  if (whole !== undefined) return whole
  // The reader of the stream finds an error there.
  body.once('error', () => undefined)
  const late = performance.now() + PATIENCE
  while (body.readableLength < length && !body.destroyed && performance.now() < late) await wait(STEP)
  return arrived(body, length)
}

/**
 * The same stream, of which the reader has seen each piece before anyone else. It is closed with the other, either way.
 *
 * @param ended called before the stream ends, if it does
 */
export function watched (
  body: Readable, reader: UsageReader, ended: (usage: Usage | undefined) => void
): Readable {
  let isBegun = false
  let looking: Promise<void> | undefined
  const passing = new Readable({
    highWaterMark: HIGH_WATER_MARK,
    // Nothing is taken before a reader wants it: until then the answer has not begun to leave.
    read () {
      if (!isBegun) body.on('data', take).on('end', last)
      else if (looking === undefined) body.resume()
      isBegun = true
    },
    destroy (error, done) {
      body.off('data', take).off('end', last).destroy()
      reader.close()
      done(error)
    }
  })

  function take (piece: Buffer): void {
    const looked = reader.push(piece)
    if (looked === undefined) return pass(piece)
    body.pause()
    looking = looked.then(() => {
      looking = undefined
      if (passing.destroyed) return
      body.resume()
      pass(piece)
    })
  }

  function pass (piece: Buffer): void {
    if (!passing.push(piece)) body.pause()
  }

  async function last (): Promise<void> {
    await looking
    const usage = await reader.end()
    if (passing.destroyed) return
    ended(usage)
    passing.push(null)
  }

  // It may fail before anyone reads it: a reader that comes later finds that in the stream.
  passing.on('error', () => undefined)
  finished(body, { writable: false }, error => { if (error) passing.destroy(error) })
  return passing
}
