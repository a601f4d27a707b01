/** One stream of HTTP/2, as a request of HTTP/1.1 and its response. */
import { request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { constants } from 'node:http2'
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { PROBLEM_MEDIA_TYPE, Problem } from '../http/problems.ts'
import { connectionPair } from './pair.ts'
import type { Origin } from './pair.ts'

export interface StreamHead {
  readonly headers: IncomingHttpHeaders
  /** Flat, as it came; pseudo-header fields are among them. */
  readonly raw: readonly string[]
  readonly hasBody: boolean
}

const NOTHING = Buffer.alloc(0)
/** More than any workload's response headers, which are bounded where they come from, and the proxy's own. */
const MAX_RESPONSE_HEADER_BYTES = 128 * 1024
/** Node's client frames these as if they had a body, unless a length says otherwise. */
const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])
/** Of one connection of HTTP/1.1: HTTP/2 has its own (RFC 9113, section 8.2.2). */
const CONNECTION_HEADERS = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'te'
])

/** @param connect is given the server's end of the connection that the request comes on */
export function serveStream (
  stream: ServerHttp2Stream, head: StreamHead, origin: Origin, connect: (far: Duplex) => void
): void {
  // Its end says all that there is to say.
  stream.on('error', () => undefined)
  const method = String(head.headers[':method'])
  if (method === 'CONNECT') return answer(stream, new Problem('no-tunnels'))
  const { near, far } = connectionPair(origin)
  let request: ClientRequest
  try {
    request = httpRequest({
      method,
      path: targetOf(head.headers),
      headers: requestHeaders(method, head),
      setHost: false,
      maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
      createConnection: () => near
    })
  } catch {
    // A name, a value or a target that HTTP/1.1 cannot carry.
    near.destroy()
    far.destroy()
    return answer(stream, new Problem('bad-request'))
  }
  connect(far)
  let responded = false

  // Whatever ends the one ends the other.
  stream.once('close', () => near.destroy()).once('aborted', () => near.destroy())
  request.on('error', () => { if (!responded) breakOff(stream) })
  request.on('continue', () => { if (isOpen(stream)) stream.additionalHeaders({ ':status': 100 }) })
  request.once('response', response => {
    responded = true
    respond(stream, response, method)
  })
  if (head.hasBody) {
    stream.once('trailers', (_fields: unknown, _flags: number, raw: string[]) => passTrailers(request, raw))
    // The head goes ahead. Node's flushHeaders() would write it as UTF-8.
    request.write(NOTHING)
    stream.pipe(request)
  } else {
    stream.resume()
    request.end()
  }
}

/** @throws {TypeError} it is none (RFC 9113, section 8.3.1) */
function targetOf ({ ':path': path = '', ':method': method }: IncomingHttpHeaders): string {
  if (!path.startsWith('/') && !(path === '*' && method === 'OPTIONS')) throw new TypeError('Not a target')
  return path
}

/** @throws {TypeError} there are two authorities */
function requestHeaders (method: string, { headers, raw, hasBody }: StreamHead): string[] {
  const { ':authority': authority, host } = headers
  if (authority !== undefined && host !== undefined && authority !== host) throw new TypeError('Two authorities')
  const list: string[] = []
  const cookies: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name, value] = [raw[i]!, raw[i + 1]!]
    if (name.startsWith(':') || name === 'host' || CONNECTION_HEADERS.has(name)) continue
    // RFC 9113, section 8.2.3: a cookie may come in pieces.
    if (name === 'cookie') cookies.push(value)
    else list.push(name, value)
  }
  if (cookies.length > 0) list.push('cookie', cookies.join('; '))
  const named = authority ?? host
  if (named !== undefined) list.push('host', named)
  if (headers['content-length'] === undefined) {
    if (hasBody) list.push('transfer-encoding', 'chunked')
    else if (!BODILESS.has(method)) list.push('content-length', '0')
  }
  // It is of this connection, and asks the proxy for what HTTP/2 can carry.
  if (headers.te === 'trailers') list.push('te', 'trailers')
  list.push('connection', 'close')
  return list
}

/** Behind a body in chunks. One whose length was announced has none in HTTP/1.1. */
function passTrailers (request: ClientRequest, raw: readonly string[]): void {
  const trailers: [string, string][] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!raw[i]!.startsWith(':')) trailers.push([raw[i]!, raw[i + 1]!])
  }
  try {
    request.addTrailers(trailers)
  } catch (error) {
    request.destroy(error as Error)
  }
}

function respond (stream: ServerHttp2Stream, response: IncomingMessage, method: string): void {
  response.on('error', () => breakOff(stream))
  if (!isOpen(stream)) {
    response.destroy()
    return
  }
  const { statusCode = 502 } = response
  const hasNoBody = method === 'HEAD' || statusCode === 204 || statusCode === 304 ||
    response.headers['content-length'] === '0'
  try {
    const headers = { ':status': statusCode, ...responseHeaders(response.rawHeaders) }
    stream.respond(headers, { endStream: hasNoBody, waitForTrailers: !hasNoBody })
  } catch {
    response.destroy()
    return breakOff(stream)
  }
  if (hasNoBody) {
    response.resume()
    return giveUpRequest(stream)
  }
  stream.once('wantTrailers', () => {
    try {
      stream.sendTrailers(responseHeaders(response.rawTrailers))
    } catch {
      // HTTP/2 takes some fields only once. Without trailers, or a reset, the stream would stay.
      return breakOff(stream)
    }
    setImmediate(giveUpRequest, stream)
  })
  response.pipe(stream)
}

/** Nothing more is read of a request whose answer is complete (RFC 9113, section 8.1). */
function giveUpRequest (stream: ServerHttp2Stream): void {
  if (!stream.destroyed && !stream.readableEnded) leave(stream, constants.NGHTTP2_NO_ERROR)
}

/** What is left of its request is thrown away: a stream that no one reads would stay. */
function leave (stream: ServerHttp2Stream, code: number): void {
  stream.unpipe()
  stream.resume()
  if (!stream.closed) stream.close(code)
}

function responseHeaders (raw: readonly string[]): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name, value] = [raw[i]!.toLowerCase(), raw[i + 1]!]
    if (CONNECTION_HEADERS.has(name) || name === '__proto__') continue
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  return headers
}

/** An answer without a request that could have one. */
function answer (stream: ServerHttp2Stream, problem: Problem): void {
  if (!isOpen(stream)) return
  const body = problem.body(randomUUID())
  stream.respond({
    ':status': problem.statusCode, 'content-type': PROBLEM_MEDIA_TYPE, 'content-length': Buffer.byteLength(body)
  })
  stream.end(body)
  stream.once('finish', () => giveUpRequest(stream))
}

function breakOff (stream: ServerHttp2Stream): void {
  if (!stream.destroyed) leave(stream, constants.NGHTTP2_INTERNAL_ERROR)
}

function isOpen (stream: ServerHttp2Stream): boolean {
  return !stream.destroyed && !stream.closed
}
