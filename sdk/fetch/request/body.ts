/** Request bodies: what fetch accepts as one, in a form that can be encapsulated and, where possible, sent again. */
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { isArrayBuffer } from '../../polaris-v1/octets.ts'
import { formDataBlob } from './form-data.ts'
import { ContentLengthError } from '../../ohttp/bhttp-stream.ts'
import { PolarisFetchError, requestBodyError } from '../errors.ts'
import { collect } from '../../collect.ts'
import { gather } from '../streams.ts'

export type RequestBody =
  /** All of it, in memory. */
  | { readonly bytes: Bytes }
  /**
   * To be read from a stream, of known length or not. `open` can be called again where it is `replayable`. Where it
   * never was called, `discard` tells the source that it will not be read.
   */
  | {
    readonly length: number | undefined,
    readonly replayable: boolean,
    open (signal: AbortSignal): ReadableStream<Uint8Array>,
    discard? (reason: unknown): Promise<void>
  }

/** Smaller ones are held in memory rather than streamed: a request of known length passes every proxy. */
const STREAM_FROM_BYTES = 1024 * 1024

export interface ReadRequest {
  /** As the platform makes it, so that it means what it means to fetch. */
  readonly request: Request
  /** That of the request, but for a GET with a body, which the platform cannot represent. */
  readonly method: string
  /** @param stream whether request bodies can be streamed to the gateway; otherwise they are held in memory */
  body (stream: boolean): Promise<RequestBody | undefined>
}

export function readRequest (input: string | Request, init: RequestInit | undefined): ReadRequest {
  const given = init?.body
  const source = given instanceof FormData ? formDataBlob(given) : given
  if (source instanceof ReadableStream && !canStreamRequests()) {
    // Such a runtime would make text of it.
    const { request, method } = makeRequest(input, { ...init, body: '' })
    // A body of text has a type, one that is a stream has not.
    if (!new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined)).has('content-type')) {
      request.headers.delete('content-type')
    }
    return {
      request, method, body: async () => held(await read(collect(checked(source, request.signal)), request), request)
    }
  }
  const { request, method } = makeRequest(input, source === given ? init : { ...init, body: source ?? null })
  return { request, method, body: stream => bodyOf(request, source, stream) }
}

/**
 * Search engines such as Elasticsearch and Qdrant take the query as the body of a GET. Fetch has no such requests, but
 * inside of the encryption there is nothing against them.
 */
function makeRequest (input: string | Request, init: RequestInit | undefined): { request: Request, method: string } {
  const method = init?.method ?? (typeof input === 'string' ? 'GET' : input.method)
  if (init?.body === undefined || init.body === null || !/^get$/i.test(method)) {
    const request = new Request(input, init)
    return { request, method: request.method }
  }
  return { request: new Request(input, { ...init, method: 'POST' }), method: 'GET' }
}

/** What a body fails with, for the caller: it is the body, not the connection, that has to be fixed. */
export function bodyError (cause: unknown): PolarisFetchError {
  if (cause instanceof PolarisFetchError) return cause
  if (cause instanceof NotBytesError || cause instanceof ContentLengthError) {
    return requestBodyError(cause.message, cause)
  }
  return requestBodyError('the stream that it comes from failed (see the cause)', cause)
}

async function read<T> (body: Promise<T>, { signal }: Request): Promise<T> {
  try {
    return await body
  } catch (cause) {
    signal.throwIfAborted()
    throw bodyError(cause)
  }
}

async function bodyOf (request: Request, source: unknown, stream: boolean): Promise<RequestBody | undefined> {
  if (source instanceof Blob && source.size >= STREAM_FROM_BYTES && stream) {
    checkLength(source.size, request.headers)
    return { length: source.size, replayable: true, open: signal => checked(source.stream(), signal) }
  }
  if (isWhole(source)) return held(new Uint8Array(await request.arrayBuffer()), request)
  const { body, headers, signal } = request
  // Firefox has no `body`, but has its bytes.
  if (body === undefined) {
    const bytes = new Uint8Array(await request.arrayBuffer())
    return bytes.length === 0 ? undefined : held(bytes, request)
  }
  if (body === null) return undefined
  if (!stream) return held(await read(collect(checked(body, signal)), request), request)
  // What a Request was made of does not show. A string or bytes are there at once, so that their length can be known.
  const rest = source === undefined ? await read(gather(checked(body, signal), STREAM_FROM_BYTES), request) : body
  if (!(rest instanceof ReadableStream)) return held(rest, request)
  return {
    length: announcedLength(headers),
    replayable: false,
    open: signal => checked(rest, signal),
    async discard (reason) { if (!rest.locked) await rest.cancel(reason) }
  }
}

/** Tells the source of an unread body that it will not be read, so that it can release what it holds. */
export async function discard ({ body }: Request, content: RequestBody | undefined, reason: unknown): Promise<void> {
  try {
    if (content !== undefined) await ('discard' in content ? content.discard?.(reason) : undefined)
    else if (body?.locked === false) await body.cancel(reason)
  } catch {
    // A source that failed by itself has nothing left to release.
  }
}

function held (bytes: Bytes | undefined, { headers }: Request): RequestBody | undefined {
  if (bytes === undefined) return undefined
  checkLength(bytes.length, headers)
  return { bytes }
}

function checkLength (length: number, headers: Headers): void {
  const announced = announcedLength(headers)
  if (announced !== undefined && announced !== length) {
    throw requestBodyError(`it has ${length} bytes, and the content-length that you set is ${announced}`)
  }
}

/** Node lets callers set it. */
function announcedLength (headers: Headers): number | undefined {
  const announced = headers.get('content-length') ?? ''
  return /^\d{1,15}$/.test(announced) ? Number(announced) : undefined
}

function isWhole (source: unknown): boolean {
  return typeof source === 'string' || source instanceof URLSearchParams || source instanceof Blob ||
    isArrayBuffer(source) || ArrayBuffer.isView(source)
}

/**
 * As fetch does it, only bytes pass: anything else would be lost in silence. Aborting cancels the stream at once, while
 * a fetch that waits for the next piece may do so only when that comes.
 */
function checked (stream: ReadableStream<Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  return stream.pipeThrough(new TransformStream<Uint8Array, Uint8Array>({
    transform (piece, controller) {
      if (Object.prototype.toString.call(piece) !== '[object Uint8Array]') throw new NotBytesError(piece)
      controller.enqueue(piece)
    }
  }, undefined, { highWaterMark: 0 }), { signal })
}

class NotBytesError extends TypeError {
  constructor (piece: unknown) {
    super(`a stream has to give Uint8Arrays, and gave ${typeof piece === 'string'
      ? 'a string: encode it with a TextEncoderStream'
      : Object.prototype.toString.call(piece).slice(8, -1)}`)
  }
}

let requestStreams: boolean | undefined

/**
 * Whether a Request takes a stream: one that does not know of it asks for no `duplex`, and makes text of the stream.
 */
function canStreamRequests (): boolean {
  if (requestStreams === undefined) {
    let asked = false
    const init = { method: 'POST', body: new ReadableStream(), get duplex () { asked = true; return 'half' } }
    const typed = new Request('http://localhost', init as RequestInit).headers.has('content-type')
    requestStreams = asked && !typed
  }
  return requestStreams
}

/**
 * Whether request bodies can be streamed to this URL. Browsers do so over HTTP/2 and later only, and their fetch fails
 * over HTTP/1.1; which one it is can be told from the resource timing of an earlier request.
 *
 * @param ask makes a request to that URL, such as the one for keys; called where there was none
 */
export async function canStreamTo (url: string, ask: () => Promise<unknown>): Promise<boolean> {
  if (!canStreamRequests()) return false
  if (!('document' in globalThis) && !('WorkerGlobalScope' in globalThis)) return true
  const timing = () => performance.getEntriesByName(url, 'resource').at(-1) as { nextHopProtocol?: string } | undefined
  if (timing() === undefined) await ask()
  return /^h[23]/.test(timing()?.nextHopProtocol ?? '')
}
