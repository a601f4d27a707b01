/**
 * Binary HTTP inside OHTTP, on the server: a request comes out as head and body, a response goes in as head and body.
 * Streams are passed on piece by piece.
 */
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { convertStream } from '../../streams/convert.ts'
import { free, freeOnceSent } from '../../streams/free.ts'
import { Problem } from '../../http/problems.ts'
import { BhttpError } from '../../protocols/bhttp/bhttp.ts'
import { createRequestReader } from '../../protocols/bhttp/reader.ts'
import type { BhttpReader, BhttpRequestEvent, BhttpRequestStart } from '../../protocols/bhttp/reader.ts'
import { contentChunkPrefix, encodeEnd, encodeResponseHead, encodeResponseStart, paddingLength } from '../../protocols/bhttp/writer.ts'
import type { BhttpLimits, RequestHead, ResponseHead } from '../../protocols/bhttp/bhttp.ts'
import { MAX_CHUNK } from '../../protocols/ohttp/chunks.ts'
import { OhttpError } from '../../protocols/ohttp/ohttp.ts'
import type { ChunkOpener, ChunkSealer, OpenedChunkedRequest } from './gateway.ts'

export interface InnerRequest {
  readonly head: RequestHead
  /**
   * A Buffer where all of it is here and authentic, undefined where that is nothing. A stream otherwise, which ends only
   * when the final chunk was authentic, and errors when anything is wrong: with a Problem, or the source's error.
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
 * @throws {OhttpError} ERR_OHTTP_OPEN or ERR_OHTTP_INCOMPLETE
 * @throws {BhttpError} or what the source throws
 */
export async function readRequestStream (
  source: Readable, { rest, opener }: Pick<OpenedChunkedRequest, 'rest' | 'opener'>, limits?: BhttpLimits
): Promise<InnerRequest> {
  const reader = createRequestReader(limits)
  const events: BhttpRequestEvent[] = []
  let start: BhttpRequestStart | undefined
  for await (const bytes of startingWith(rest, source)) {
    for (const event of reader.push(await opener.open(bytes))) events.push(event)
    start = clearStart(events)
    if (start !== undefined) break
  }
  if (start === undefined) return complete([...events, ...reader.push(opener.end()), ...reader.end()])
  return { head: start.head, body: readBody(source, opener, reader, events), bodyLength: start.contentLength }
}

/** The source stays open, whatever happens. */
async function * startingWith (first: Uint8Array, source: Readable): AsyncGenerator<Uint8Array, void, void> {
  yield first
  yield * source.iterator({ destroyOnReturn: false })
}

/** The first event, once the others tell whether to expect a body. */
function clearStart ([first, next]: readonly BhttpRequestEvent[]): BhttpRequestStart | undefined {
  if (first?.type !== 'request') return undefined
  const isClear = next !== undefined || (first.contentLength ?? 0) > 0 || !BODILESS.has(first.head.method)
  return isClear ? first : undefined
}

/** Its source stays open, for the answer. */
function readBody (source: Readable, opener: ChunkOpener, reader: BhttpReader<BhttpRequestEvent>, early: readonly BhttpRequestEvent[]): Readable {
  const contentIn = (bytes: Uint8Array) => contentOf(reader.push(bytes))
  const body = convertStream(source, {
    convert: piece => refusing(() => {
      const opened = opener.open(piece)
      return opened instanceof Promise ? opened.then(contentIn).catch(refuse) : contentIn(opened)
    }),
    end: () => refusing(() => contentOf([...reader.push(opener.end()), ...reader.end()]))
  })
  const content = contentOf(early)
  if (content !== undefined) body.push(content)
  return body
}

function refusing<T> (step: () => T): T {
  try {
    return step()
  } catch (error) {
    return refuse(error)
  }
}

/** The request is being forwarded already: what turns out to be wrong with it is answered as the contract of a body says. */
function refuse (error: unknown): never {
  throw error instanceof OhttpError || error instanceof BhttpError ? new Problem('bad-request', { cause: error }) : error
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
