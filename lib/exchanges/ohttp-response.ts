/** Encapsulates responses: whole, or piece by piece as the workload produces them. */
import { Readable, Transform, pipeline } from 'node:stream'
import { arrived } from '../arrived.ts'
import type { PlainResponse } from '../exchange.ts'
import type { ResponseHeaders } from '../headers.ts'
import type { ChunkSealer } from '../ohttp/gateway.ts'
import { Problem } from '../problems.ts'
import { BhttpError } from '../protocols/bhttp.ts'
import type { Field, ResponseHead } from '../protocols/bhttp.ts'
import { contentChunkPrefix, encodeEnd, encodeResponse, encodeResponseHead } from '../protocols/bhttp-writer.ts'

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
export async function sealStream (response: PlainResponse, sealer: ChunkSealer, padTo: number): Promise<Readable | Buffer> {
  const head = valid(() => encodeResponseHead(headOf(response)))
  const body = await ready(response)
  if (!(body instanceof Readable)) {
    const content = Buffer.from(body ?? '')
    const whole = [head, ...content.length > 0 ? [contentChunkPrefix(content.length), content] : [], encodeEnd()]
    return Buffer.from(sealer.final(padded(Buffer.concat(whole), 0, padTo)))
  }

  let before: Uint8Array | undefined = head
  let length = 0
  const sealing = new Transform({
    transform (piece: Buffer, _encoding, done) {
      const plaintext = Buffer.concat([before ?? EMPTY, contentChunkPrefix(piece.length), piece])
      before = undefined
      length += plaintext.length
      done(null, sealer.seal(plaintext))
    },
    flush (done) {
      done(null, sealer.final(padded(Buffer.concat([before ?? EMPTY, encodeEnd()]), length, padTo)))
    }
  })
  // The head does not wait for a body that is yet to come; where the body is there already, they go together.
  setImmediate(() => {
    if (before === undefined || sealing.destroyed || sealing.writableEnded) return
    length += before.length
    sealing.push(sealer.seal(before))
    before = undefined
  })
  pipeline(body, sealing, () => { /* an error destroys `sealing`, whose reader sees it */ })
  return sealing
}

const EMPTY = Buffer.alloc(0)

/** Filled up with zeros, so that the message as a whole has a multiple of `padTo` octets (RFC 9292, section 3.8). */
function padded (last: Buffer, lengthBefore: number, padTo: number): Buffer {
  if (padTo === 0) return last
  const length = lengthBefore + last.length
  return Buffer.concat([last], last.length + Math.ceil(length / padTo) * padTo - length)
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
