/** Request bodies: what fetch accepts as one, in a form that can be encapsulated and, where possible, sent again. */
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { isArrayBuffer } from '../../polaris-v1/octets.ts'
import { formDataBlob } from './form-data.ts'
import { collect, gather } from '../streams.ts'

export type RequestBody =
  /** All of it, in memory. */
  | { readonly bytes: Bytes }
  /**
   * To be read from a stream, of known length or not. `open` can be called again where it is `replayable`. Where it never
   * was called, `discard` tells the source that nobody will.
   */
  | { readonly length: number | undefined, readonly replayable: boolean, open (signal: AbortSignal): ReadableStream<Uint8Array>, discard? (reason: unknown): Promise<void> }

/** Smaller ones are held in memory rather than streamed: a request of known length passes every proxy. */
const STREAM_FROM_BYTES = 1024 * 1024

export interface ReadRequest {
  /** As the platform makes it, so that it means what it means to fetch. */
  readonly request: Request
  /** @param stream whether request bodies can be streamed to the gateway; otherwise they are held in memory */
  body (stream: boolean): Promise<RequestBody | undefined>
}

export function readRequest (input: string | Request, init: RequestInit | undefined): ReadRequest {
  const given = init?.body
  const source = given instanceof FormData ? formDataBlob(given) : given
  if (source instanceof ReadableStream && !canStreamRequests()) {
    // Such a runtime would make text of it.
    const request = new Request(input, { ...init, body: '' })
    // A body of text has a type, one that is a stream has not.
    if (!new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined)).has('content-type')) request.headers.delete('content-type')
    return { request, body: async () => held(await collect(checked(source, request.signal))) }
  }
  const request = new Request(input, source === given ? init : { ...init, body: source ?? null })
  return { request, body: stream => bodyOf(request, source, stream) }
}

async function bodyOf (request: Request, source: unknown, stream: boolean): Promise<RequestBody | undefined> {
  if (source instanceof Blob && source.size >= STREAM_FROM_BYTES && stream) {
    return { length: source.size, replayable: true, open: signal => checked(source.stream(), signal) }
  }
  if (isWhole(source)) return { bytes: new Uint8Array(await request.arrayBuffer()) }
  const { body, headers, signal } = request
  // Firefox has no `body`, but has its octets.
  if (body === undefined) {
    const bytes = new Uint8Array(await request.arrayBuffer())
    return bytes.length === 0 ? undefined : { bytes }
  }
  if (body === null) return undefined
  if (!stream) return held(await collect(checked(body, signal)))
  // What a Request was made of does not show. A string or octets are there at once, so that their length can be known.
  const rest = source === undefined ? await gather(checked(body, signal), STREAM_FROM_BYTES) : body
  if (!(rest instanceof ReadableStream)) return { bytes: rest }
  const announced = headers.get('content-length') ?? ''
  return {
    length: /^\d+$/.test(announced) ? Number(announced) : undefined,
    replayable: false,
    open: signal => checked(rest, signal),
    async discard (reason) { if (!rest.locked) await rest.cancel(reason) }
  }
}

/** Tells the source of a body that nobody read, and nobody will, so that it can let go of what it holds. */
export async function discard ({ body }: Request, content: RequestBody | undefined, reason: unknown): Promise<void> {
  if (content !== undefined) await ('discard' in content ? content.discard?.(reason) : undefined)
  else if (body?.locked === false) await body.cancel(reason)
}

function held (bytes: Bytes | undefined): RequestBody | undefined {
  return bytes && { bytes }
}

function isWhole (source: unknown): boolean {
  return typeof source === 'string' || source instanceof URLSearchParams || source instanceof Blob || isArrayBuffer(source) || ArrayBuffer.isView(source)
}

/**
 * As fetch does it, only octets pass: anything else would be lost in silence. Aborting cancels the stream at once, while
 * a fetch that waits for the next piece may do so only when that comes.
 */
function checked (stream: ReadableStream<Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  return stream.pipeThrough(new TransformStream<Uint8Array, Uint8Array>({
    transform (piece, controller) {
      if (Object.prototype.toString.call(piece) !== '[object Uint8Array]') throw new TypeError('A request body stream must give Uint8Arrays')
      controller.enqueue(piece)
    }
  }, undefined, { highWaterMark: 0 }), { signal })
}

let requestStreams: boolean | undefined

/** Whether a Request takes a stream: one that does not know of it asks for no `duplex`, and makes text of the stream. */
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
