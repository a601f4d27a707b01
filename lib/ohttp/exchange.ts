/**
 * Binary HTTP inside OHTTP, on the server: a request comes out as head and body, a response goes in as head and body.
 * Streams are passed on piece by piece.
 */
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { free, freeOnceSent } from '../free.ts'
import { createRequestReader } from '../protocols/bhttp-reader.ts'
import type { BhttpRequestEvent } from '../protocols/bhttp-reader.ts'
import { contentChunkPrefix, encodeEnd, encodeResponseHead, encodeResponseStart, paddingLength } from '../protocols/bhttp-writer.ts'
import type { BhttpLimits, RequestHead, ResponseHead } from '../protocols/bhttp.ts'
import { MAX_CHUNK } from '../protocols/ohttp-chunks.ts'
import { OhttpError } from '../protocols/ohttp.ts'
import type { ChunkSealer, RequestPiece } from './gateway.ts'

export interface InnerRequest {
  readonly head: RequestHead
  /**
   * A Buffer where all of it is here and authentic, undefined where that is nothing. A stream otherwise, which ends only
   * when the final chunk was authentic, and errors when anything is wrong (OhttpError, BhttpError, the source's error).
   * Trailers are read and dropped. Destroying it stops reading, but leaves the source of the pieces open.
   */
  readonly body: Buffer | Readable | undefined
  /** Octets of the body, where the message says so up front. A stream that has fewer or more errors. */
  readonly bodyLength: number | undefined
}

/** Reads a request that is there as a whole, in any pieces, which are the reader's to free. @throws {BhttpError} */
export function readRequest (pieces: readonly Uint8Array[], limits?: BhttpLimits): InnerRequest {
  const reader = createRequestReader(limits)
  return complete([...pieces.flatMap(piece => reader.push(piece)), ...reader.end()])
}

/** The same of a large one, with time for others between them. @throws {BhttpError} */
export async function readRequestPieces (pieces: readonly Uint8Array[], limits?: BhttpLimits): Promise<InnerRequest> {
  const reader = createRequestReader(limits)
  let head: RequestHead | undefined
  let bodyLength = 0
  const content: Buffer[] = []
  function take (events: readonly BhttpRequestEvent[]): void {
    const [first] = events
    if (first?.type === 'request') head = first.head
    // Joined for each piece: what a client cuts small must not take a hundred times its size.
    const bytes = contentOf(events)
    if (bytes === undefined) return
    content.push(bytes)
    bodyLength += bytes.length
  }
  for (const piece of pieces) {
    take(reader.push(piece))
    await setImmediate()
  }
  take(reader.end())
  return { head: required(head), body: bodyLength === 0 ? undefined : Readable.from(content, { objectMode: false }), bodyLength }
}

/** Requests with these methods seldom have a body: it is worth waiting to see, and to forward none where there is none. */
const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

/**
 * Reads a request that is still arriving: resolves when its head is there, and it is clear whether to expect a body.
 *
 * @throws {BhttpError} or what the pieces throw
 */
export async function readRequestStream (
  pieces: AsyncGenerator<RequestPiece, void, void>, limits?: BhttpLimits
): Promise<InnerRequest> {
  const reader = createRequestReader(limits)
  const early: BhttpRequestEvent[] = []
  for (;;) {
    const { value, done } = await pieces.next()
    if (done === true) throw new OhttpError('ERR_OHTTP_INCOMPLETE')
    for (const event of reader.push(value.bytes)) early.push(event)
    if (value.final) return complete([...early, ...reader.end()])
    const [first, next] = early
    if (first?.type !== 'request') continue
    const { head, contentLength: bodyLength } = first
    if (next !== undefined || (bodyLength ?? 0) > 0 || !BODILESS.has(head.method)) {
      return { head, body: Readable.from(readBody(pieces, reader, early), { objectMode: false }), bodyLength }
    }
  }
}

async function * readBody (
  pieces: AsyncGenerator<RequestPiece, void, void>, reader: ReturnType<typeof createRequestReader>, early: BhttpRequestEvent[]
): AsyncGenerator<Uint8Array, void, void> {
  const first = contentOf(early)
  if (first !== undefined) yield first
  for await (const { bytes, final } of pieces) {
    const content = contentOf(final ? [...reader.push(bytes), ...reader.end()] : reader.push(bytes))
    if (content !== undefined) yield content
    if (final) return
  }
  throw new OhttpError('ERR_OHTTP_INCOMPLETE')
}

/** The content among the events, if there is any, in one piece: a client that cuts it small must not cost more. */
function contentOf (events: readonly BhttpRequestEvent[]): Buffer | undefined {
  const content = join(events)
  if (content !== undefined) freeOnceSent(content)
  return content
}

function join (events: readonly BhttpRequestEvent[]): Buffer | undefined {
  const content: Uint8Array[] = []
  for (const event of events) if (event.type === 'content') content.push(event.bytes)
  const [only] = content
  if (only === undefined) return undefined
  if (content.length === 1) return Buffer.from(only.buffer, only.byteOffset, only.byteLength)
  const joined = Buffer.concat(content)
  for (const bytes of content) free(bytes)
  return joined
}

function complete (events: readonly BhttpRequestEvent[]): InnerRequest {
  const [first] = events
  const body = contentOf(events)
  return { head: required(first?.type === 'request' ? first.head : undefined), body, bodyLength: body?.length ?? 0 }
}

/** A reader that has ended without an error has given a head. */
function required (head: RequestHead | undefined): RequestHead {
  if (head === undefined) throw new OhttpError('ERR_OHTTP_OPEN')
  return head
}

/**
 * Writes a response piece by piece: each call returns octets to send, and to flush, at once. The head goes with what
 * comes first. Where a response breaks off, do not call `end`: the client then knows.
 */
export interface ResponseWriter {
  /** The head by itself, where the content is not there yet; nothing, where it was sent. */
  head (): Uint8Array
  /** Nothing, for nothing. */
  content (bytes: Uint8Array): Uint8Array
  end (): Uint8Array
}

const NOTHING = new Uint8Array()

export interface ResponseShape {
  /** Octets of content, at least one, where they are known: the message then tells, and exactly as many have to follow. */
  readonly contentLength?: number | undefined
  /** The message is filled up with zeros to a multiple of this (RFC 9292, section 3.8); 0 or 1 for not at all. */
  readonly padTo?: number
}

/**
 * Of a message that is padded, the lengths of its chunks, which are in clear, would tell what the padding hides. Where the
 * length is known, nothing leaves before the end but what fills chunks.
 *
 * @throws {BhttpError} the head cannot be written
 */
export function createResponseWriter (sealer: ChunkSealer, head: ResponseHead, { contentLength, padTo = 0 }: ResponseShape = {}): ResponseWriter {
  const known = contentLength !== undefined
  const fillChunks = known && padTo > 1
  let unsent: Uint8Array = known ? encodeResponseStart(head, contentLength) : encodeResponseHead(head)
  let length = unsent.length

  /** These parts, with what was not sent in front. */
  function next (...parts: Uint8Array[]): Uint8Array {
    for (const part of parts) length += part.length
    const joined = Buffer.concat([unsent, ...parts])
    const ready = fillChunks ? joined.length - joined.length % MAX_CHUNK : joined.length
    unsent = fillChunks ? joined.subarray(ready) : NOTHING
    return joined.subarray(0, ready)
  }

  return {
    head: () => unsent.length === 0 || fillChunks ? NOTHING : sealer.seal(next()),
    // One content chunk, however many OHTTP chunks it takes: they need not line up, and this copies least.
    content (bytes) {
      if (bytes.length === 0) return NOTHING
      const prefix = known ? NOTHING : contentChunkPrefix(bytes.length)
      if (fillChunks) return sealer.seal(next(bytes))
      const before = unsent.length + prefix.length
      // With what is in front, the first OHTTP chunk; the others are sealed from where they are.
      const first = before === 0 ? NOTHING : bytes.subarray(0, Math.max(0, MAX_CHUNK - before))
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
