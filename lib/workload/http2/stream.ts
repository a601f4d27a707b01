/** One exchange with the workload, as a stream of HTTP/2. Either side may go on sending while the other does. */
import { IncomingMessage } from 'node:http'
import { constants } from 'node:http2'
import type { ClientHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { errors } from 'undici'
import type { Exchange } from '../../exchanges/exchange.ts'
import type { ResponseHeaders } from '../../http/headers.ts'
import { MAX_STATUS, invalidResponse, limitInterim } from '../client.ts'
import type { WorkloadCallback, WorkloadRequest, WorkloadTimeouts } from '../client.ts'
import { STREAM_WINDOW, connectionError } from './sessions.ts'
import type { Lease } from './sessions.ts'

export interface StreamOptions extends Omit<WorkloadTimeouts, 'connectTimeout'> {
  readonly authority: string
  readonly basePath: string
}

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM } = constants

export function requestOn (
  { session, giveBack }: Lease, request: WorkloadRequest, options: StreamOptions, callback: WorkloadCallback
): void {
  const { exchange, signal } = request
  const { body } = exchange
  let stream: ClientHttp2Stream
  try {
    stream = session.request(requestHeaders(request, options), {
      endStream: body === undefined, waitForTrailers: exchange.trailers !== undefined
    })
  } catch {
    giveBack()
    return callback(new errors.InvalidArgumentError('Not a request of HTTP/2'))
  }
  const hasEnded = watchEnd(stream, () => fail(new errors.SocketError('other side closed')))
  const silence = watchSilence(stream, body, options, fail)
  const interim = limitInterim(options.headersTimeout, fail)
  let answer: Readable | undefined
  let trailers: ResponseHeaders = {}
  let isOver = false

  /** Nothing more is sent, nor taken. What is complete both ways closes by itself. */
  function end (isComplete: boolean): void {
    isOver = true
    silence.end()
    interim.end()
    signal.off('abort', onAbort)
    if (body !== undefined && !stream.writableEnded) leave(body)
    if (!stream.closed && !(isComplete && stream.writableFinished)) stream.close(NGHTTP2_CANCEL)
    // What is left unread would keep it.
    stream.resume()
  }

  function fail (error: Error): void {
    if (isOver) return
    end(false)
    if (answer === undefined) callback(error)
    else answer.destroy(error)
  }

  function onAbort (): void {
    fail(new errors.RequestAbortedError())
  }

  signal.once('abort', onAbort)
  stream.on('error', error => fail(connectionError(error)))
  stream.once('close', () => {
    giveBack()
    fail(new errors.SocketError('other side closed'))
  })
  stream.on('headers', interim.next)
  stream.once('trailers', (_headers: unknown, _flags: number, raw: string[]) => { trailers = fieldsOf(raw) })
  stream.once('response', (received: { ':status'?: number }, flags: number, raw: string[]) => {
    if (isOver) return
    const { ':status': statusCode = 0 } = received
    if (statusCode > MAX_STATUS) return fail(invalidResponse())
    interim.end()
    const headers = fieldsOf(raw)
    const isAll = (flags & NGHTTP2_FLAG_END_STREAM) !== 0
    if (isAll && mayHaveLength(statusCode, exchange)) headers['content-length'] ??= '0'
    answer = new Readable({
      highWaterMark: STREAM_WINDOW,
      read () { stream.resume() },
      destroy (error, done) {
        if (!isOver) end(false)
        done(error)
      }
    })
    silence.answered(answer)
    stream.on('data', (piece: Buffer) => { if (!isOver && answer?.push(piece) === false) stream.pause() })
    stream.once('end', () => {
      if (isOver || !hasEnded()) return
      // A workload may answer before it has all of the request, and then wants no more of it (RFC 9113, section 8.1).
      end(true)
      answer?.push(null)
    })
    callback(null, { statusCode, headers, body: answer, trailers: () => trailers })
  })
  send(stream, exchange, fail)
}

function send (stream: ClientHttp2Stream, { body, trailers }: Exchange, fail: (error: Error) => void): void {
  if (!(body instanceof Readable)) {
    if (body !== undefined) stream.end(body)
    return
  }
  stream.once('wantTrailers', () => {
    if (stream.destroyed || stream.closed) return
    try {
      stream.sendTrailers(fieldsOf(trailers?.() ?? []))
    } catch {
      // HTTP/2 takes some fields only once.
      fail(new errors.InvalidArgumentError('Not trailers of HTTP/2'))
    }
  })
  body.once('error', fail)
  body.once('close', () => { if (!body.readableEnded) fail(new errors.RequestAbortedError()) })
  body.pipe(stream)
}

/**
 * Whether the response is complete; calls `cut` if the workload resets the stream before. Node's client ends what is
 * read of it either way, if the code is that of no error.
 */
function watchEnd (stream: ClientHttp2Stream, cut: () => void): () => boolean {
  const push = stream.push.bind(stream)
  let hasEnded = false
  stream.push = (piece: unknown, encoding?: BufferEncoding) => {
    if (piece === null && !hasEnded) {
      if (stream.closed) setImmediate(cut)
      else hasEnded = true
    }
    return push(piece, encoding)
  }
  return () => hasEnded
}

/** Calls `giveUp` if the workload neither takes nor sends anything for too long. */
function watchSilence (
  stream: ClientHttp2Stream, body: Exchange['body'], { headersTimeout, idleTimeout }: StreamOptions,
  giveUp: (error: Error) => void
): { answered: (answer: Readable) => void, end: () => void } {
  let timer: NodeJS.Timeout | undefined
  let answer: Readable | undefined
  const refresh = () => { timer?.refresh() }

  function check (): void {
    // The client is at the other end of both: it may send slowly, and it may read slowly.
    const waits = answer === undefined ? !stream.writableEnded && !stream.writableNeedDrain : stream.isPaused()
    if (waits) refresh()
    else giveUp(answer === undefined ? new errors.HeadersTimeoutError() : new errors.BodyTimeoutError())
  }

  function start (timeout: number): void {
    clearTimeout(timer)
    timer = timeout === 0 ? undefined : setTimeout(check, timeout)
  }

  start(headersTimeout)
  if (body instanceof Readable) body.on('data', refresh)
  stream.once('finish', refresh)
  return {
    answered (given) {
      answer = given
      start(idleTimeout)
      stream.on('data', refresh)
    },
    end: () => clearTimeout(timer)
  }
}

/** What is left of it. A request of HTTP/1.1 that is destroyed takes its connection along, and the answer with it. */
function leave (body: Readable | Buffer): void {
  if (body instanceof IncomingMessage) body.unpipe().resume()
  else if (body instanceof Readable) body.destroy()
}

function requestHeaders (
  { exchange: { method, target, headers, body, bodyLength }, takesTrailers }: WorkloadRequest,
  { authority, basePath }: StreamOptions
): string[] {
  const length = body instanceof Readable ? bodyLength : body?.length
  return [
    ':method', method, ':scheme', 'http', ':authority', authority, ':path', basePath + target,
    ...headers,
    ...length === undefined ? [] : ['content-length', String(length)],
    ...takesTrailers ? ['te', 'trailers'] : []
  ]
}

/** RFC 9110, section 8.6. */
function mayHaveLength (statusCode: number, { method }: Exchange): boolean {
  return method !== 'HEAD' && statusCode !== 204 && statusCode !== 304
}

function fieldsOf (raw: readonly string[]): ResponseHeaders {
  const fields: ResponseHeaders = {}
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name, value] = [raw[i]!, raw[i + 1]!]
    if (name.startsWith(':') || name === '__proto__') continue
    const before = fields[name]
    fields[name] = before === undefined ? value : [before, value].flat()
  }
  return fields
}
