/** Shows an answer to a reader of usage on its way. What passes is what came, piece by piece. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { arrived } from '../streams/arrived.ts'
import { HIGH_WATER_MARK } from '../streams/convert.ts'
import type { Usage } from './counts.ts'
import type { UsageReader } from './reader.ts'

/** An answer whose length is known and small is waited for so long, in milliseconds: its usage can go ahead of it. */
const PATIENCE = 100
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
  const patience = new AbortController()
  const timer = setTimeout(() => patience.abort(), PATIENCE)
  try {
    while (body.readableLength < length && !body.destroyed) {
      await once(body, 'readable', { signal: patience.signal })
    }
  } catch {
    // Late, or broken: whoever reads the stream finds that there.
  } finally {
    clearTimeout(timer)
  }
  return arrived(body, length)
}

/**
 * The same stream, of which the reader has seen each piece before anyone else.
 *
 * @param ended called before the stream ends, if it does
 */
export function watched (
  body: Readable, reader: UsageReader, ended: (usage: Usage | undefined) => void
): Readable {
  async function * pieces (): AsyncGenerator<Buffer, void, void> {
    try {
      for await (const piece of body as AsyncIterable<Buffer>) {
        await reader.push(piece)
        yield piece
      }
      ended(await reader.end())
    } finally {
      reader.close()
    }
  }
  const passing = Readable.from(pieces(), { objectMode: false, highWaterMark: HIGH_WATER_MARK })
  // It may fail before anyone reads it: a reader that comes later finds that in the stream.
  passing.on('error', () => undefined)
  // A generator that waits for a piece does not notice that it is not wanted any more.
  passing.once('close', () => body.destroy())
  return passing
}
