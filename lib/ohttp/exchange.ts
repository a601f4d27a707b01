/**
 * Binary HTTP inside OHTTP, on the server: a request comes out as head and body, a response goes in as head and body.
 * Streams are passed on piece by piece.
 */
import { Readable } from 'node:stream'
import { createRequestReader } from '../protocols/bhttp-reader.ts'
import type { BhttpRequestEvent } from '../protocols/bhttp-reader.ts'
import { contentChunkPrefix, encodeEnd, encodeResponse, encodeResponseHead } from '../protocols/bhttp-writer.ts'
import type { BhttpLimits, RequestHead, ResponseHead } from '../protocols/bhttp.ts'
import { OhttpError } from '../protocols/ohttp.ts'
import type { ChunkSealer, RequestPiece } from './gateway.ts'

export interface InnerRequest {
  readonly head: RequestHead
  /**
   * A Buffer where all of it is here and authentic, undefined where that is nothing. A stream otherwise, which ends only
   * when the final chunk was authentic, and errors when anything is wrong (OhttpError, BhttpError, the source's error).
   * Trailers are read and dropped. Destroying it ends the pieces when the next octets come: close the source to end it
   * at once.
   */
  readonly body: Buffer | Readable | undefined
}

/** Reads a request that is there as a whole. @throws {BhttpError} */
export function readRequest (request: Uint8Array, limits?: BhttpLimits): InnerRequest {
  const reader = createRequestReader(limits)
  return complete([...reader.push(request), ...reader.end()])
}

/** Requests with these methods seldom have a body: it is worth waiting to see, and to forward none where there is none. */
const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

/**
 * Reads a request that is still arriving: resolves when its head is there, and it is clear whether to expect a body.
 *
 * @throws {BhttpError} or what the pieces throw; the pieces are ended then
 */
export async function readRequestStream (
  pieces: AsyncGenerator<RequestPiece, void, void>, limits?: BhttpLimits
): Promise<InnerRequest> {
  const reader = createRequestReader(limits)
  const early: BhttpRequestEvent[] = []
  try {
    for (;;) {
      const { value, done } = await pieces.next()
      if (done === true) throw new OhttpError('ERR_OHTTP_INCOMPLETE')
      early.push(...reader.push(value.bytes))
      if (value.final) return complete([...early, ...reader.end()])
      const [first, next] = early
      if (first?.type === 'request' && (next !== undefined || !BODILESS.has(first.head.method))) {
        const body = Readable.from(readBody(pieces, reader, early), { objectMode: false })
        return { head: first.head, body }
      }
    }
  } catch (error) {
    await pieces.return()
    throw error
  }
}

async function * readBody (
  pieces: AsyncGenerator<RequestPiece, void, void>, reader: ReturnType<typeof createRequestReader>, early: BhttpRequestEvent[]
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield * contentOf(early)
    for await (const { bytes, final } of pieces) {
      yield * contentOf(reader.push(bytes))
      if (final) yield * contentOf(reader.end())
    }
  } finally {
    await pieces.return()
  }
}

function * contentOf (events: readonly BhttpRequestEvent[]): Generator<Uint8Array, void, void> {
  for (const event of events) if (event.type === 'content') yield event.bytes
}

function complete (events: readonly BhttpRequestEvent[]): InnerRequest {
  const [first] = events
  // A reader that has ended without an error has given a head first.
  if (first?.type !== 'request') throw new OhttpError('ERR_OHTTP_OPEN')
  const content = [...contentOf(events)]
  return { head: first.head, body: content.length === 0 ? undefined : Buffer.concat(content) }
}

/**
 * Writes a response piece by piece: each call returns octets to send, and to flush, at once. Where a response breaks off,
 * do not call `end`: the client then knows.
 */
export interface ResponseWriter {
  /** @throws {BhttpError} the head cannot be written */
  head (head: ResponseHead): Uint8Array
  /** Nothing, for nothing. */
  content (bytes: Uint8Array): Uint8Array
  end (): Uint8Array
  /** All at once, instead of the others: one chunk where it fits. padTo as in `encodeResponse`. @throws {BhttpError} */
  whole (head: ResponseHead, content?: Uint8Array, padTo?: number): Uint8Array
}

const NOTHING = new Uint8Array()

export function createResponseWriter (sealer: ChunkSealer): ResponseWriter {
  return {
    head: (head) => sealer.seal(encodeResponseHead(head)),
    // One content chunk, however many OHTTP chunks it takes: they need not line up, and this copies least.
    content: (bytes) => bytes.length === 0
      ? NOTHING
      : sealer.seal(Buffer.concat([contentChunkPrefix(bytes.length), bytes])),
    end: () => sealer.final(encodeEnd()),
    whole: (head, content = NOTHING, padTo = 1) => sealer.final(encodeResponse(head, { content, padTo }))
  }
}
