/** Encapsulates responses: whole, or piece by piece as the workload produces them. */
import { Readable, Transform, pipeline } from 'node:stream'
import { arrived } from '../arrived.ts'
import type { PlainResponse } from '../exchange.ts'
import type { ResponseHeaders } from '../headers.ts'
import { createResponseWriter } from '../ohttp/exchange.ts'
import type { ChunkSealer } from '../ohttp/gateway.ts'
import { Problem } from '../problems.ts'
import { BhttpError } from '../protocols/bhttp.ts'
import type { Field, ResponseHead } from '../protocols/bhttp.ts'
import { encodeResponse, encodeResponseStart } from '../protocols/bhttp-writer.ts'
import { inBlocks } from './blocks.ts'

/** Larger messages are not joined, and not sealed at once: that would hold up others. */
const JOIN_BYTES = 256 * 1024

/**
 * A whole Binary HTTP response, known length: in one piece where it is small. `hold` is told of every octet of the
 * workload's before it is held.
 *
 * @throws {Problem} upstream-invalid, and whatever hold throws
 */
export async function encodeWhole (response: PlainResponse, hold: (bytes: number) => void, padTo: number): Promise<Uint8Array | Uint8Array[]> {
  const body = await ready(response)
  if (!(body instanceof Readable)) return valid(() => encodeResponse(headOf(response), { content: body, padTo }))

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
  return [start, ...content, new Uint8Array(padTo > 1 ? Math.ceil(unpadded / padTo) * padTo - unpadded : 0)]
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

  const single = padTo > 1 && response.headers['content-length'] !== undefined
  const writer = valid(() => createResponseWriter(sealer, headOf(response), padTo, single))
  const sealing = new Transform({
    transform: (piece: Buffer, _encoding, done) => done(null, writer.content(piece)),
    flush: (done) => done(null, writer.end())
  })
  // The head does not wait for a body that is yet to come; where the body is there already, they go together.
  setImmediate(() => {
    if (sealing.destroyed || sealing.writableEnded) return
    const head = writer.head()
    if (head.length > 0) sealing.push(head)
  })
  pipeline(body, sealing, () => { /* an error destroys `sealing`, whose reader sees it */ })
  return sealing
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

/** The body: octets where all of it is there. */
async function ready ({ headers, body }: PlainResponse): Promise<Readable | Uint8Array> {
  if (!(body instanceof Readable)) return Buffer.from(body ?? '')
  const length = headers['content-length']
  return await arrived(body, typeof length === 'string' ? Number(length) : undefined) ?? body
}

/** What the workload sent may not be representable. */
function valid<T> (encode: () => T): T {
  try {
    return encode()
  } catch (error) {
    throw error instanceof BhttpError ? new Problem('upstream-invalid', { cause: error }) : error
  }
}
