/** Binary HTTP inside OHTTP, on the server: a request comes out as head and body. */
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { Problem } from '../../http/problems.ts'
import { BhttpError } from '../../protocols/bhttp/bhttp.ts'
import type { BhttpLimits, RequestHead } from '../../protocols/bhttp/bhttp.ts'
import { createRequestReader } from '../../protocols/bhttp/reader.ts'
import type { BhttpRequestEvent, BhttpRequestStart } from '../../protocols/bhttp/events.ts'
import type { BhttpReader } from '../../protocols/bhttp/reader.ts'
import { OhttpError } from '../../protocols/ohttp/ohttp.ts'
import { convertStream } from '../../streams/convert.ts'
import { allocate, free, own } from '../../streams/owned.ts'
import type { Owned, OwnedStream } from '../../streams/owned.ts'
import type { ChunkOpener, OpenedChunkedRequest } from './request.ts'

export interface InnerRequest {
  readonly head: RequestHead
  /**
   * Bytes, or a stream that cannot fail, if all of it is here and authentic; undefined if that is nothing. Of a request
   * that is still arriving, a stream that ends only when the final chunk was authentic, and errors when anything is
   * wrong: with a Problem, or the source's error. Trailers are read and dropped. Destroying it stops reading, but
   * leaves the source open.
   */
  readonly body: Buffer | Readable | OwnedStream | undefined
  /** Bytes of the body, if the message says so up front. A stream that has fewer or more errors. */
  readonly bodyLength: number | undefined
}

/** So much is read without a break: a client can cut its content into single bytes, of which each is an event. */
const BYTES_AT_ONCE = 8 * 1024
/** Joining more than this at once would hold up the event loop. */
const JOIN_BYTES = 256 * 1024

/** Reads a request that is there as a whole, in any pieces, with time for others. @throws {BhttpError} */
export async function readRequest (pieces: readonly Uint8Array[], limits?: BhttpLimits): Promise<InnerRequest> {
  const reader = createRequestReader(limits)
  let start: BhttpRequestStart | undefined
  const content: Buffer[] = []
  let bodyLength = 0
  function take (events: readonly BhttpRequestEvent[]): void {
    const [first] = events
    if (first?.type === 'request') start = first
    // Joined for each piece: what a client cuts small must not take a hundred times its size.
    const joined = join(events)
    if (joined === undefined) return
    content.push(joined)
    bodyLength += joined.length
  }
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      if (at > 0) await setImmediate()
      // Content whose length is known comes in one event, however long it is.
      const end = start?.contentLength === undefined ? at + BYTES_AT_ONCE : piece.length
      take(reader.push(piece.subarray(at, end)))
      at = end
    }
  }
  take(reader.end())
  const body = content.length > 1 && bodyLength > JOIN_BYTES
    ? Readable.from(content, { objectMode: false })
    : content.length > 1 ? Buffer.concat(content) : content[0]
  return { head: required(start?.head), body, bodyLength }
}

/** Requests with these methods seldom have a body: it is worth waiting to see, and to forward none if there is none. */
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
function readBody (
  source: Readable, opener: ChunkOpener, reader: BhttpReader<BhttpRequestEvent>, early: readonly BhttpRequestEvent[]
): OwnedStream {
  const contentIn = (opened: Owned) => takeContent(opened, reader.push(opened))
  const body = convertStream(source, {
    convert: piece => refusing(() => {
      const opened = opener.open(piece)
      return opened instanceof Promise ? opened.then(contentIn).catch(refuse) : contentIn(opened)
    }),
    end: () => refusing(() => {
      const opened = opener.end()
      return takeContent(opened, [...reader.push(opened), ...reader.end()])
    })
  })
  const content = join(early)
  if (content !== undefined) body.give(own(content))
  return body
}

function refusing<T> (step: () => T): T {
  try {
    return step()
  } catch (error) {
    return refuse(error)
  }
}

/**
 * The request is being forwarded already: what turns out to be wrong with it is answered as the contract of a body
 * says.
 */
function refuse (error: unknown): never {
  throw error instanceof OhttpError || error instanceof BhttpError
    ? new Problem('bad-request', { cause: error })
    : error
}

/**
 * The content among the events, in one piece, if there is any. What it was opened into is freed, unless it is all
 * content: the reader has kept a copy of what else it needs.
 */
function takeContent (opened: Owned, events: readonly BhttpRequestEvent[]): Owned | undefined {
  const content = contentOf(events)
  const [only] = content
  if (content.length === 1 && only?.buffer === opened.buffer && only.byteLength === opened.byteLength) return opened
  const joined = content.length === 0 ? undefined : concatOwned(content)
  free(opened)
  return joined
}

function concatOwned (pieces: readonly Uint8Array[]): Owned {
  const joined = allocate(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}

/** The content among the events, in one piece, if there is any: a client that cuts it small must not cost more. */
function join (events: readonly BhttpRequestEvent[]): Buffer | undefined {
  const content = contentOf(events)
  const [only] = content
  if (only === undefined || content.length > 1) return only && Buffer.concat(content)
  return Buffer.from(only.buffer, only.byteOffset, only.byteLength)
}

function contentOf (events: readonly BhttpRequestEvent[]): Uint8Array[] {
  const content: Uint8Array[] = []
  for (const event of events) if (event.type === 'content') content.push(event.bytes)
  return content
}

function complete (events: readonly BhttpRequestEvent[]): InnerRequest {
  const [first] = events
  const body = join(events)
  return { head: required(first?.type === 'request' ? first.head : undefined), body, bodyLength: body?.length ?? 0 }
}

/** A reader that has ended without an error has given a head. */
function required (head: RequestHead | undefined): RequestHead {
  if (head === undefined) throw new OhttpError('ERR_OHTTP_OPEN')
  return head
}
