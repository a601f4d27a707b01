/** Encapsulates responses: whole, or piece by piece as the workload produces them. */
import { Readable } from 'node:stream'
import { arrived } from '../../streams/arrived.ts'
import { convertStream } from '../../streams/convert.ts'
import type { PlainResponse } from '../exchange.ts'
import { free } from '../../streams/free.ts'
import type { ResponseHeaders } from '../../http/headers.ts'
import { createResponseWriter } from './inner.ts'
import type { ChunkSealer } from './gateway.ts'
import { Problem } from '../../http/problems.ts'
import { BhttpError } from '../../protocols/bhttp/bhttp.ts'
import type { Field, ResponseHead } from '../../protocols/bhttp/bhttp.ts'
import { encodeResponse, encodeResponseStart, paddingLength } from '../../protocols/bhttp/writer.ts'
import { inBlocks } from '../../streams/blocks.ts'

/** Larger messages are not joined, and not sealed at once: that would hold up others. */
const JOIN_BYTES = 256 * 1024

/** A message in pieces, and how many octets they have together. */
export interface MessageInPieces {
  readonly pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  readonly length: number
}

export interface WholeOptions {
  /** Octets of content that a message may have. */
  readonly maxBytes: number
  /** Told of every octet of the workload's before it is held. Throws where they are too many. */
  readonly hold: (bytes: number) => void
  readonly padTo: number
}

/**
 * A whole Binary HTTP response, known length: in one piece where it is small. Of a large one whose length the workload
 * tells, the pieces come from the workload as they are read, and end with an error where it breaks off or has told
 * another length; unless it is padded, since when they leave is seen.
 *
 * @throws {Problem} upstream-invalid, and whatever hold throws
 */
export async function encodeWhole (response: PlainResponse, { maxBytes, hold, padTo }: WholeOptions): Promise<Uint8Array | MessageInPieces> {
  const body = await ready(response)
  if (!(body instanceof Readable)) return valid(() => encodeResponse(headOf(response), { content: body, padTo }))
  const announced = contentLength(response) ?? 0
  if (announced > maxBytes) throw new Problem('upstream-invalid')
  if (announced > JOIN_BYTES && padTo <= 1) {
    const start = valid(() => encodeResponseStart(headOf(response), announced))
    return { pieces: following(start, body, announced), length: start.length + announced }
  }
  const content: Buffer[] = []
  let length = 0
  for await (const piece of inBlocks(body)) {
    hold(piece.length)
    content.push(piece)
    length += piece.length
  }
  if (length <= JOIN_BYTES) return valid(() => encodeResponse(headOf(response), { content: Buffer.concat(content), padTo }))
  const start = valid(() => encodeResponseStart(headOf(response), length))
  const unpadded = start.length + length
  const padding = new Uint8Array(paddingLength(unpadded, padTo))
  return { pieces: [start, ...content, padding], length: unpadded + padding.length }
}

async function * following (start: Uint8Array, body: Readable, length: number): AsyncGenerator<Uint8Array, void, void> {
  yield start
  let left = length
  for await (const piece of body as AsyncIterable<Buffer>) {
    left -= piece.length
    if (left < 0) break
    yield piece
  }
  if (left !== 0) throw new Problem('upstream-invalid')
}

/**
 * A response as message/ohttp-chunked-res: the head at once, each piece of the body as it comes, and the proof of the
 * end only where the body ended. Broken off, it ends with an error. A padded response whose length the workload tells
 * leaves in full chunks, as their lengths are in clear.
 *
 * @throws {Problem} upstream-invalid
 */
export async function sealStream (response: PlainResponse, sealer: ChunkSealer, padTo: number): Promise<Readable | Uint8Array> {
  const body = await ready(response)
  if (!(body instanceof Readable)) return valid(() => sealer.final(encodeResponse(headOf(response), { content: body, padTo })))

  const announced = contentLength(response) || undefined
  const writer = valid(() => createResponseWriter(sealer, headOf(response), { contentLength: announced, padTo }))
  let length = 0
  const sealed = convertStream(body, {
    convert (piece) {
      length += piece.length
      if (announced !== undefined && length > announced) throw new Problem('upstream-invalid')
      // Not at once: undici is still reading the message that it cut the piece from.
      process.nextTick(free, piece)
      return writer.content(piece)
    },
    end () {
      if (announced !== undefined && length < announced) throw new Problem('upstream-invalid')
      return writer.end()
    },
    close: () => body.destroy()
  })
  // The head does not wait for a body that is yet to come; where the body is there already, they go together.
  setImmediate(() => {
    if (sealed.destroyed || body.readableEnded) return
    const head = writer.head()
    if (head.length > 0) sealed.push(head)
  })
  return sealed
}

function headOf ({ status, headers }: PlainResponse): ResponseHead {
  return { status, headers: fields(headers) }
}

function fields (headers: ResponseHeaders): Field[] {
  const list: Field[] = []
  for (const name in headers) {
    const value = headers[name]
    if (Array.isArray(value)) for (const one of value) list.push([name, trimmed(one)])
    else if (value !== undefined) list.push([name, trimmed(value)])
  }
  return list
}

/** Of a field value, only these are white space (RFC 9110, section 5.5): octets above ASCII are part of it. */
function trimmed (value: string): string {
  return value.replace(/^[\t ]+|[\t ]+$/g, '')
}

/** Octets of the body, where the workload tells them. */
function contentLength ({ headers }: PlainResponse): number | undefined {
  const length = Number(headers['content-length'])
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined
}

/** The body: octets where all of it is there. */
async function ready (response: PlainResponse): Promise<Readable | Uint8Array> {
  const { body } = response
  if (!(body instanceof Readable)) return Buffer.from(body ?? '')
  return await arrived(body, contentLength(response)) ?? body
}

/** What the workload sent may not be representable. */
function valid<T> (encode: () => T): T {
  try {
    return encode()
  } catch (error) {
    throw error instanceof BhttpError ? new Problem('upstream-invalid', { cause: error }) : error
  }
}
