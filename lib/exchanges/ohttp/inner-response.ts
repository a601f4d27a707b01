/** Binary HTTP inside OHTTP, on the server: a response goes in as head and body, and is sealed piece by piece. */
import { EMPTY } from '../../protocols/bytes.ts'
import type { ResponseHead } from '../../protocols/bhttp/bhttp.ts'
import {
  contentChunkPrefix, encodeEnd, encodeResponseHead, encodeResponseStart, paddingLength
} from '../../protocols/bhttp/writer.ts'
import { MAX_CHUNK } from '../../protocols/ohttp/chunks.ts'
import { allocate } from '../../streams/owned.ts'
import type { Owned } from '../../streams/owned.ts'
import type { ChunkSealer } from './response.ts'

/**
 * Writes a response piece by piece: each call returns bytes to send, and to flush, at once. The head goes with what
 * comes first. If a response breaks off, do not call `end`: the client then knows.
 */
export interface ResponseWriter {
  /** The head by itself, if the content is not there yet; empty if it was sent. */
  head (): Owned
  /** Empty for no content. */
  content (bytes: Uint8Array): Owned
  end (): Owned
}

const NOTHING = allocate(0)

export interface ResponseShape {
  /**
   * Bytes of content, at least one, if they are known: the message then says so, and exactly as many have to follow.
   */
  readonly contentLength?: number | undefined
  /** The message is filled up with zeros to a multiple of this (RFC 9292, section 3.8); 0 or 1 for not at all. */
  readonly padTo?: number
}

/**
 * The lengths of a padded message's chunks are not encrypted, and would show what the padding hides: if the length is
 * known, nothing leaves before the end but what fills chunks.
 *
 * @throws {BhttpError} the head cannot be written
 */
export function createResponseWriter (
  sealer: ChunkSealer, head: ResponseHead, { contentLength, padTo = 0 }: ResponseShape = {}
): ResponseWriter {
  const known = contentLength !== undefined
  const fillChunks = known && padTo > 1
  let unsent: Uint8Array = known ? encodeResponseStart(head, contentLength) : encodeResponseHead(head)
  let length = unsent.length

  /** These parts, with what was not sent in front. */
  function next (...parts: Uint8Array[]): Uint8Array {
    for (const part of parts) length += part.length
    const joined = Buffer.concat([unsent, ...parts])
    unsent = EMPTY
    if (!fillChunks) return joined
    const ready = joined.length - joined.length % MAX_CHUNK
    unsent = joined.subarray(ready)
    return joined.subarray(0, ready)
  }

  return {
    head: () => unsent.length === 0 || fillChunks ? NOTHING : sealer.seal(next()),
    // One content chunk, however many OHTTP chunks it takes: they need not line up, and this copies least.
    content (bytes) {
      if (bytes.length === 0) return NOTHING
      const prefix = known ? EMPTY : contentChunkPrefix(bytes.length)
      const before = unsent.length + prefix.length
      if (fillChunks || before + bytes.length <= MAX_CHUNK) return sealer.seal(next(prefix, bytes))
      // With what is in front, the first OHTTP chunk; the others are sealed from where they are.
      const first = before === 0 ? EMPTY : bytes.subarray(0, Math.max(0, MAX_CHUNK - before))
      const rest = bytes.subarray(first.length)
      length += rest.length
      return sealer.seal(next(prefix, first), rest)
    },
    end () {
      const last = known ? unsent : Buffer.concat([unsent, encodeEnd()])
      length += last.length - unsent.length
      const padding = paddingLength(length, padTo)
      return sealer.final(padding === 0 ? last : Buffer.concat([last], last.length + padding))
    }
  }
}
