/** Spares small messages the machinery of streams: most of them have arrived by the time anyone looks. */
import type { Readable } from 'node:stream'

/** Larger ones are worth streaming. */
const MAX_BYTES = 64 * 1024

/**
 * All of a stream that is `length` bytes long, if it is there already; otherwise undefined, and nothing was taken.
 */
export async function arrived (stream: Readable, length: number | undefined): Promise<Buffer | undefined> {
  if (length === undefined || length > MAX_BYTES) return undefined
  // What came in one packet with the headers is in the stream once the parser has returned.
  await null
  if (stream.readableLength !== length || stream.destroyed) return undefined
  const all: Buffer = length === 0 ? Buffer.alloc(0) : stream.read()
  // Lets the stream end.
  stream.resume()
  return all
}
