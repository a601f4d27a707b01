/**
 * Writes a small piece of a body. Node writes a chunk of HTTP in four pieces: its length, a line end, the bytes, a line
 * end. For an event of fifty bytes that is worth sparing (docs/decisions/0018-own-conversion-of-streams.md).
 */
import { ServerResponse } from 'node:http'

const CR = 0x0d
const LF = 0x0a

/** As `destination.write(piece)`, but of a response that is chunked, with chunk and framing in one piece. */
export function writeSmall (destination: NodeJS.WritableStream, piece: Buffer): boolean {
  // A chunk of nothing would end the body.
  if (!isChunked(destination) || piece.length === 0) return destination.write(piece)
  // Node writes the end of the body, as ever.
  destination.chunkedEncoding = false
  const more = destination.write(chunkOf(piece))
  destination.chunkedEncoding = true
  return more
}

/** Node knows once it has written the head, with the first piece. Not of one whose `write` is another's. */
function isChunked (destination: NodeJS.WritableStream): destination is ServerResponse {
  return destination instanceof ServerResponse && destination.chunkedEncoding &&
    destination.write === ServerResponse.prototype.write
}

/** RFC 9112, section 7.1. */
function chunkOf (piece: Buffer): Buffer {
  const length = piece.length.toString(16)
  const start = length.length + 2
  const chunk = Buffer.allocUnsafe(start + piece.length + 2)
  chunk.write(length, 'latin1')
  chunk[start - 2] = CR
  chunk[start - 1] = LF
  chunk.set(piece, start)
  chunk[chunk.length - 2] = CR
  chunk[chunk.length - 1] = LF
  return chunk
}
