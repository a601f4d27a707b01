/** Chunked OHTTP (draft-ietf-ohai-chunked-ohttp-08): each chunk has a tag of its own, so messages stream, both ways. */
import { Readable } from 'node:stream'
import { announcedLength } from '../../http/incoming.ts'
import type { IncomingRequest } from '../../http/incoming.ts'
import type { ResponseHeaders } from '../../http/headers.ts'
import { Problem } from '../../http/problems.ts'
import { encodeResponse } from '../../protocols/bhttp/writer.ts'
import { CHUNKED_RESPONSE_MEDIA_TYPE } from '../../protocols/ohttp/ohttp.ts'
import { arrived } from '../../streams/arrived.ts'
import { convertStream } from '../../streams/convert.ts'
import type { PlainResponse } from '../exchange.ts'
import { readRequest, readRequestStream } from './inner-request.ts'
import { createResponseWriter } from './inner-response.ts'
import { readInner } from './opened-message.ts'
import type { OpenedMessage } from './opened-message.ts'
import { openChunkedRequest, openChunks } from './request.ts'
import type { Decapsulate } from './request.ts'
import { announcedContent, headOf, valid } from './response-head.ts'
import type { ChunkSealer } from './response.ts'

/** Never cached, never held back: each chunk is for the client at once. */
const OUTER_HEADERS: ResponseHeaders = {
  'content-type': CHUNKED_RESPONSE_MEDIA_TYPE,
  'cache-control': 'no-store, no-transform',
  incremental: '?1',
  'x-accel-buffering': 'no'
}

/** As far as it has to be there for its head. @throws {OhttpError} as `openChunkedRequest` */
export async function openChunked (
  request: IncomingRequest, decapsulate: Decapsulate, padTo: number
): Promise<OpenedMessage> {
  const { header, enc, createResponseSealer, read } = await openMessage(request, decapsulate)
  return {
    header,
    enc,
    inner: await readInner(read()),
    seal: async response => ({
      status: 200,
      headers: OUTER_HEADERS,
      body: await sealStream(response, createResponseSealer(), padTo)
    })
  }
}

/** At once, if all of it is there already. */
async function openMessage (request: IncomingRequest, decapsulate: Decapsulate) {
  const whole = await arrived(request.payload, announcedLength(request))
  if (whole !== undefined) {
    const opened = await openChunks(whole, decapsulate)
    return { ...opened, read: () => readRequest(opened.pieces) }
  }
  const opened = await openChunkedRequest(request.payload, decapsulate)
  return { ...opened, read: () => readRequestStream(request.payload, opened) }
}

/**
 * A response as message/ohttp-chunked-res: the head at once, each piece of the body as it comes, and the proof of the
 * end only if the body ended. Broken off, it ends with an error. A padded response whose length the workload announces
 * leaves in full chunks, as their lengths are not encrypted.
 *
 * @throws {Problem} upstream-invalid
 */
export async function sealStream (
  response: PlainResponse, sealer: ChunkSealer, padTo: number
): Promise<Readable | Uint8Array> {
  const announced = announcedContent(response)
  const body = response.body instanceof Readable
    ? await arrived(response.body, announced) ?? response.body
    : Buffer.from(response.body ?? '')
  if (!(body instanceof Readable)) {
    return valid(() => sealer.final(encodeResponse(headOf(response), { content: body, padTo })))
  }

  const expected = announced || undefined
  const writer = valid(() => createResponseWriter(sealer, headOf(response), { contentLength: expected, padTo }))
  let length = 0
  const sealed = convertStream(body, {
    convert (piece) {
      length += piece.length
      if (expected !== undefined && length > expected) throw new Problem('upstream-invalid')
      return writer.content(piece)
    },
    end () {
      if (expected !== undefined && length < expected) throw new Problem('upstream-invalid')
      return writer.end()
    },
    close: () => body.destroy()
  })
  // The head does not wait for a body that is yet to come; if the body is there already, they go together.
  setImmediate(() => {
    if (sealed.destroyed || body.readableEnded) return
    const head = writer.head()
    if (head.length > 0) sealed.give(head)
  })
  return sealed
}
