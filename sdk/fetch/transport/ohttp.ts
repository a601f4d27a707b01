/** Requests and responses over Chunked Oblivious HTTP, streaming both ways. */
import { readResponse, requestStream } from '../../ohttp/bhttp-stream.ts'
import { encodeRequest } from '../../../lib/protocols/bhttp/writer.ts'
import { BhttpError } from '../../../lib/protocols/bhttp/bhttp.ts'
import type { Field, RequestHead, ResponseHead } from '../../../lib/protocols/bhttp/bhttp.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import type { EncryptionKey } from '../../ohttp/hpke-sender.ts'
import { startChunkedExchange } from '../../ohttp/client.ts'
import type { ChunkedExchange } from '../../ohttp/client.ts'
import {
  CHUNKED_REQUEST_MEDIA_TYPE, CHUNKED_RESPONSE_MEDIA_TYPE, OhttpError
} from '../../../lib/protocols/ohttp/ohttp.ts'
import { UnsupportedRequestError } from '../../errors.ts'
import { isTimeout } from '../../network-error.ts'
import { mediaType, refusal } from '../response/refusal.ts'
import { createClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import { bodyError } from '../request/body.ts'
import type { RequestBody } from '../request/body.ts'
import { ClockError, GatewayRefusalError, PolarisFetchError, connectionError } from '../errors.ts'
import { isSameKey } from '../keys/published.ts'
import type { Cached } from '../keys/published.ts'
import { abortable, byteStream, withErrors } from '../streams.ts'
import { endToEnd, isBodiless } from './transport.ts'
import type { PlainRequest, PlainResponse } from './transport.ts'

export interface OhttpTransportOptions {
  readonly gatewayURL: string
  readonly fetch: typeof globalThis.fetch
  readonly keys: Cached<EncryptionKey>
  /** Default: this machine's. */
  readonly clock?: Clock
}

/** With what a Response has no place for. */
export interface OhttpResponse extends PlainResponse {
  /** The header section, each line by itself, in the order of the workload. */
  readonly fields: readonly Field[]
  /** Complete once the body has ended. */
  readonly trailers: readonly Field[]
}

export function createOhttpTransport (
  { gatewayURL, fetch, keys, clock = createClock(false) }: OhttpTransportOptions
): (request: PlainRequest) => Promise<OhttpResponse> {
  /**
   * A gateway that does not know the key has not opened the request, so it may be sent again: once, encrypted again.
   * But only if the gateway publishes another key by now. If it still publishes the one that it refuses, an attacker
   * on the way may have written the refusal and let the request pass.
   */
  return async request => {
    const key = await abortable(() => keys.get(), request.signal)
    try {
      return await exchange(request, key)
    } catch (error) {
      if (!(error instanceof GatewayRefusalError)) throw error
      if (error.code !== 'ERR_POLARIS_KEY_REFUSED') {
        // By chance, another key may have the id of the one that was used: then the gateway cannot tell that it is
        // gone.
        if (error.code === 'ERR_POLARIS_REFUSED' && error.status === 400) keys.doubt(key)
        // A new proof of the keys may bring the gateway's time along.
        if (error instanceof ClockError && clock.follows) keys.doubt(key)
        throw error
      }
      const renewed = await abortable(() => keys.renew(key), request.signal)
      if (isSameKey(key, renewed)) {
        throw refused('The gateway refuses the key that it publishes. Do its replicas share their keys? The request ' +
          'was not sent again', error)
      }
      if (!isReplayable(request.body)) {
        throw refused(
          'The gateway has new keys, and the body of the request is a stream that has been read: send it again', error
        )
      }
      return await exchange(request, renewed)
    }
  }

  async function exchange (request: PlainRequest, key: EncryptionKey): Promise<OhttpResponse> {
    const { signal } = request
    const sentAt = clock.now()
    const upload = new AbortController()
    const encapsulation = await startChunkedExchange(key).catch((cause: unknown) => {
      throw new PolarisFetchError('ERR_POLARIS_NO_USABLE_KEY', 'The gateway publishes a key that nothing can be ' +
        'encrypted to: it, or something in front of it, is broken. Nothing was sent', { cause })
    })
    let bodyFault: PolarisFetchError | undefined
    const blame = (error: unknown) => {
      if (upload.signal.aborted || signal.aborted) return error
      bodyFault = bodyError(error)
      return bodyFault
    }
    const message = await encapsulate(
      encapsulation, headOf(request, sentAt), request.body, AbortSignal.any([signal, upload.signal]), blame
    )
    const response = await post(message, sentAt, signal).catch((error: unknown) => {
      upload.abort(error)
      throw bodyFault ?? error
    })
    const explain = (error: unknown) => signal.aborted ? signal.reason : bodyFault ?? responseError(error)
    try {
      const { head, body, trailers } = await readResponse(
        (response.body ?? new Blob([]).stream()).pipeThrough(encapsulation.openStream())
      )
      return { ...await present(request, head, withErrors(body, explain)), fields: head.headers, trailers }
    } catch (error) {
      throw explain(error)
    }
  }

  /** @returns an encapsulated response, not yet opened */
  async function post (message: Bytes | ReadableStream<Bytes>, sentAt: Date, signal: AbortSignal): Promise<Response> {
    const response = await reach(message, signal)
    if (response.status === 200 && mediaType(response) === CHUNKED_RESPONSE_MEDIA_TYPE) return response
    throw await abortable(() => refusal(response, sentAt), signal)
  }

  async function reach (message: Bytes | ReadableStream<Bytes>, signal: AbortSignal): Promise<Response> {
    const init = {
      method: 'POST',
      headers: { 'content-type': CHUNKED_REQUEST_MEDIA_TYPE, accept: CHUNKED_RESPONSE_MEDIA_TYPE, incremental: '?1' },
      body: message,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
      signal,
      ...message instanceof ReadableStream && { duplex: 'half' }
    } satisfies RequestInit & { duplex?: string }
    try {
      return await fetch(gatewayURL, init as RequestInit)
    } catch (cause) {
      signal.throwIfAborted()
      throw connectionError(gatewayURL, cause)
    }
  }
}

function headOf ({ target, method, headers }: PlainRequest, date: Date): RequestHead {
  const { scheme, authority, path } = target
  return { method, scheme, authority, path, headers: [...endToEnd(headers), ['date', date.toUTCString()]] }
}

/** @param blame is given what the body fails with, and returns what to fail with instead */
async function encapsulate (
  exchange: ChunkedExchange, head: RequestHead, body: RequestBody | undefined, signal: AbortSignal,
  blame: (error: unknown) => unknown
): Promise<Bytes | ReadableStream<Bytes>> {
  try {
    if (body === undefined) return await exchange.seal(encodeRequest(head))
    if ('bytes' in body) return await exchange.seal(encodeRequest(head, { content: body.bytes }))
    const encode = requestStream(head, body.length)
    return withErrors(body.open(signal).pipeThrough(encode), blame).pipeThrough(exchange.sealStream())
  } catch (cause) {
    if (!(cause instanceof BhttpError)) throw cause
    throw new UnsupportedRequestError(`The request cannot be encapsulated: ${cause.message}`, { cause })
  }
}

function isReplayable (body: RequestBody | undefined): boolean {
  return body === undefined || 'bytes' in body || body.replayable
}

/** Where there is no body to tell of an incomplete response later, the end is waited for. */
async function present (
  { method }: PlainRequest, { status, headers }: ResponseHead, body: ReadableStream<Bytes>
): Promise<PlainResponse> {
  const response = { status, headers: new Headers(headers as [string, string][]) }
  if (!isBodiless(method, status)) return { ...response, body: ofLength(body, response.headers.get('content-length')) }
  const reader = body.getReader()
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    if (read.value.length === 0) continue
    await reader.cancel()
    throw new BhttpError('ERR_BHTTP_MALFORMED', 'There is content where none can be')
  }
  return { ...response, body: null }
}

/** A body that ends before the length that its headers announce is incomplete, whatever cut it. */
function ofLength (body: ReadableStream<Bytes>, announced: string | null): ReadableStream<Bytes> {
  if (announced === null || !/^\d{1,15}$/.test(announced)) return body
  let left = Number(announced)
  const reader = body.getReader()
  return byteStream({
    async pull () {
      const { value } = await reader.read()
      left -= value?.length ?? 0
      if (value === undefined && left > 0) {
        throw new PolarisFetchError('ERR_POLARIS_INCOMPLETE', `The response is ${left} bytes shorter than its ` +
          'content-length: the workload, or something between it and the proxy, broke off')
      }
      return value
    },
    async cancel (reason) { await reader.cancel(reason) }
  })
}

function refused (message: string, { status, problem }: GatewayRefusalError): GatewayRefusalError {
  return new GatewayRefusalError('ERR_POLARIS_KEY_REFUSED', message, { status, problem })
}

/** What a response that was not read to its end means to the caller. */
function responseError (cause: unknown): PolarisFetchError {
  if (cause instanceof PolarisFetchError) return cause
  if ((cause instanceof OhttpError && cause.code !== 'ERR_OHTTP_INCOMPLETE') || cause instanceof BhttpError) {
    return new PolarisFetchError('ERR_POLARIS_RESPONSE', 'The response is not what the proxy sealed for this ' +
      'request: it was changed on the way. Do not use what came before', { cause })
  }
  return isTimeout(cause)
    ? new PolarisFetchError(
      'ERR_POLARIS_TIMEOUT',
      'The response stalled for longer than the connection allows. The request was processed, at least in part',
      { cause }
    )
    : new PolarisFetchError(
      'ERR_POLARIS_INCOMPLETE', 'The response broke off before its end. The request was processed, at least in part',
      { cause }
    )
}
