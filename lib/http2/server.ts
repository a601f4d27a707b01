/**
 * HTTP/2 (RFC 9113) for a server of HTTP/1.1: each stream becomes a request on a connection of its own within this
 * process. So there is one pipeline, with one set of timeouts, limits and refusals, and no second reading of what a
 * request is. What HTTP/2 brings of its own is bounded here.
 */
import { constants, createServer } from 'node:http2'
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { serveStream } from './stream.ts'

export interface Http2 {
  /** Takes over a connection on which HTTP/2 was agreed. */
  serve (socket: TLSSocket): void
  /** Tells clients to send no more; connections end when their streams have. */
  close (): void
}

export interface Http2Options {
  /** Given, for each request, a connection with that request. */
  readonly onConnection: (connection: Duplex) => void
  /** Most bytes of a request's headers. */
  readonly maxHeaderBytes: number
}

/** At one time, of one connection. */
const MAX_STREAMS = 128
/** More than any client sends. Node refuses a stream with more. */
const MAX_HEADERS = 256
/**
 * A client may take back so many requests at once, and so many per second from then on (CVE-2023-44487, rapid reset).
 */
const RESET_BURST = 200
const RESET_RATE = 20
/** A connection that breaks the rules so often ends. */
const MAX_REJECTED_STREAMS = 32
const MAX_INVALID_FRAMES = 32
/** Megabytes that a connection may hold outside of streams: frames to be sent that its client does not take. */
const MAX_SESSION_MEGABYTES = 10
/** Bytes of bodies that may be on their way and not read yet: of one request, and of all on a connection. */
const STREAM_WINDOW = 256 * 1024
const CONNECTION_WINDOW = 1024 * 1024
/** A connection without streams is kept for so long, in milliseconds. As that of HTTP/1.1. */
const IDLE_MS = 72_000

export function createHttp2 ({ onConnection, maxHeaderBytes }: Http2Options): Http2 {
  const sessions = new Map<Http2Session, TLSSocket>()
  let arriving: TLSSocket | undefined
  let closing = false
  const server = createServer({
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      maxHeaderListSize: maxHeaderBytes,
      initialWindowSize: STREAM_WINDOW,
      // WebSockets use HTTP/1.1: RFC 8441 is not offered.
      enableConnectProtocol: false,
      enablePush: false
    },
    maxHeaderListPairs: MAX_HEADERS,
    maxSendHeaderBlockLength: 2 * maxHeaderBytes,
    maxSessionMemory: MAX_SESSION_MEGABYTES,
    maxSettings: 16,
    maxOutstandingPings: 4,
    maxSessionInvalidFrames: MAX_INVALID_FRAMES,
    maxSessionRejectedStreams: MAX_REJECTED_STREAMS,
    streamResetBurst: RESET_BURST,
    streamResetRate: RESET_RATE
  })

  server.on('session', session => {
    if (arriving !== undefined) sessions.set(session, arriving)
    session.once('close', () => sessions.delete(session))
    // It ends with the session, and with what its requests had.
    session.on('error', () => session.destroy())
    session.setLocalWindowSize(CONNECTION_WINDOW)
    session.setTimeout(IDLE_MS, () => session.close())
    if (closing) session.close()
  })
  // Streams that no one serves any more, and connections that broke before.
  server.on('sessionError', () => undefined)
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: string[]) => {
    const { session } = stream
    const socket = session && sessions.get(session)
    if (socket === undefined) return stream.close(constants.NGHTTP2_REFUSED_STREAM)
    const hasBody = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0
    serveStream(stream, { headers, raw, hasBody }, origin(socket), onConnection)
  })

  return {
    serve (socket) {
      // The session is made, and told of, before this returns.
      arriving = socket
      server.emit('connection', socket)
      arriving = undefined
    },
    close () {
      closing = true
      for (const session of sessions.keys()) session.close()
    }
  }
}

function origin ({ remoteAddress, remotePort, remoteFamily }: TLSSocket) {
  return { remoteAddress, remotePort, remoteFamily }
}
