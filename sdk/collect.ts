/** Reads a stream as a whole, up to a limit. */
import { concat } from '../lib/protocols/bytes.ts'
import type { Bytes } from '../lib/protocols/bytes.ts'

/**
 * All bytes of a stream. With a reader, since not every browser can iterate a stream.
 *
 * @param maxBytes with more, the stream is cancelled and undefined is returned
 */
export async function collect (
  stream: ReadableStream<Uint8Array>, maxBytes = Infinity
): Promise<Bytes | undefined> {
  const reader = stream.getReader()
  const pieces: Uint8Array[] = []
  let length = 0
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    length += read.value.length
    if (length > maxBytes) {
      await reader.cancel()
      return undefined
    }
    pieces.push(read.value)
  }
  return concat(...pieces)
}
