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
import { encodeResponse } from '../protocols/bhttp-writer.ts'

/**
 * A whole Binary HTTP response, known length. `hold` is told of every octet before it is held.
 *
 * @throws {Problem} upstream-invalid, and whatever hold throws
 */
export async function encodeWhole (response: PlainResponse, hold: (bytes: number) => void, padTo: number): Promise<Uint8Array> {
  const content: Buffer[] = []
  for await (const piece of pieces(await ready(response))) {
    hold(piece.length)
    content.push(piece)
  }
  const [only] = content
  return valid(() => encodeResponse(headOf(response), { content: content.length === 1 && only !== undefined ? only : Buffer.concat(content), padTo }))
}

/**
 * A response as message/ohttp-chunked-res: the head at once, each piece of the body as it comes, and the proof of the
 * end only where the body ended. Broken off, it ends with an error.
 *
 * @throws {Problem} upstream-invalid
 */
export async function sealStream (response: PlainResponse, sealer: ChunkSealer, padTo: number): Promise<Readable | Uint8Array> {
  const writer = valid(() => createResponseWriter(sealer, headOf(response), padTo))
  const body = await ready(response)
  if (!(body instanceof Readable)) return writer.whole(Buffer.from(body ?? ''))

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
    if (Array.isArray(value)) for (const one of value) list.push([name, one.trim()])
    else if (value !== undefined) list.push([name, value.trim()])
  }
  return list
}

/** The body, whole where it is there as a whole. */
async function ready ({ headers, body }: PlainResponse): Promise<PlainResponse['body']> {
  const length = headers['content-length']
  return body instanceof Readable ? await arrived(body, typeof length === 'string' ? Number(length) : undefined) ?? body : body
}

async function * pieces (body: PlainResponse['body']): AsyncGenerator<Buffer> {
  if (body instanceof Readable) yield * body
  else if (body !== undefined && body.length > 0) yield Buffer.from(body)
}

/** What the workload sent may not be representable. */
function valid<T> (encode: () => T): T {
  try {
    return encode()
  } catch (error) {
    throw error instanceof BhttpError ? new Problem('upstream-invalid', { cause: error }) : error
  }
}
