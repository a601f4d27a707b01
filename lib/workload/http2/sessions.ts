/**
 * Connections of HTTP/2 to the workload. Each carries as many requests at once as the workload allows; a further one
 * is opened when all are full.
 */
import { connect } from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import { errors } from 'undici'
import { MAX_RESPONSE_HEADER_BYTES, invalidResponse } from '../client.ts'

export interface Lease {
  readonly session: ClientHttp2Session
  /** To be called once, when the stream on it is over. */
  readonly giveBack: () => void
}

export interface Sessions {
  /** Calls back once, unless what it returns is called before. */
  take (callback: (error: Error | null, lease?: Lease) => void): () => void
  readonly stats: { readonly connected: number, readonly free: number }
  close (): void
}

/** More fields than any workload sends. Node refuses a message with more. */
const MAX_HEADERS = 1000
/** Bytes of a response that may be on their way before it is read. */
export const STREAM_WINDOW = 256 * 1024
/** The same, of all on a connection: Node reads on for all streams while one of them waits. */
const CONNECTION_WINDOW = 1024 * 1024
/** In milliseconds. A workload that closes earlier says so with GOAWAY, so that no request is lost by that. */
const IDLE_MS = 60_000

/** @param connectTimeout milliseconds for a connection, and for a place on one; 0 waits for ever */
export function createSessions (origin: string, connectTimeout: number): Sessions {
  /** With the streams that are open on each. */
  const open = new Map<ClientHttp2Session, number>()
  const waiting = new Set<(error: Error | null, session?: ClientHttp2Session) => void>()
  let connecting: ClientHttp2Session | undefined

  function take (session: ClientHttp2Session): Lease {
    open.set(session, (open.get(session) ?? 0) + 1)
    let isBack = false
    return {
      session,
      giveBack () {
        const streams = open.get(session)
        if (isBack || streams === undefined) return
        isBack = true
        open.set(session, streams - 1)
        serve()
      }
    }
  }

  function place (): ClientHttp2Session | undefined {
    for (const [session, streams] of open) if (isUsable(session) && streams < limitOf(session)) return session
    return undefined
  }

  /** Those that wait, as far as there are places. */
  function serve (): void {
    for (const proceed of waiting) {
      const session = place()
      if (session === undefined) break
      proceed(null, session)
    }
    // A workload that allows no streams at all is not asked for more connections.
    const isFull = [...open].every(([session, streams]) => !isUsable(session) || streams > 0)
    if (waiting.size > 0 && connecting === undefined && isFull) openAnother()
  }

  function openAnother (): void {
    const session = connect(origin, {
      settings: {
        enablePush: false, initialWindowSize: STREAM_WINDOW, maxHeaderListSize: MAX_RESPONSE_HEADER_BYTES
      },
      maxHeaderListPairs: MAX_HEADERS,
      maxSettings: 32
    })
    connecting = session
    let failure: Error | undefined
    const timer = connectTimeout === 0
      ? undefined
      : setTimeout(() => session.destroy(new errors.ConnectTimeoutError()), connectTimeout)
    session.once('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW))
    session.on('error', error => { failure ??= connectionError(error) })
    // What speaks no HTTP/2 sends none: it gets no request.
    session.once('remoteSettings', () => {
      clearTimeout(timer)
      connecting = undefined
      open.set(session, 0)
      session.setTimeout(IDLE_MS, () => { if (open.get(session) === 0) session.close() })
      serve()
    })
    session.on('remoteSettings', serve)
    session.once('close', () => {
      clearTimeout(timer)
      open.delete(session)
      if (connecting === session) {
        connecting = undefined
        for (const proceed of waiting) proceed(failure ?? new errors.SocketError('other side closed'))
      }
      serve()
    })
  }

  return {
    take (callback) {
      const free = waiting.size === 0 ? place() : undefined
      if (free !== undefined) {
        callback(null, take(free))
        return () => undefined
      }
      const timer = connectTimeout === 0
        ? undefined
        : setTimeout(() => proceed(new errors.ConnectTimeoutError()), connectTimeout)
      function proceed (error: Error | null, session?: ClientHttp2Session): void {
        cancel()
        if (session === undefined) callback(error ?? new errors.SocketError('closed'))
        else callback(null, take(session))
      }
      function cancel (): void {
        clearTimeout(timer)
        waiting.delete(proceed)
      }
      waiting.add(proceed)
      serve()
      return cancel
    },
    get stats () {
      const streams = [...open.values()]
      return { connected: streams.length, free: streams.filter(count => count === 0).length }
    },
    close () {
      connecting?.destroy()
      for (const session of open.keys()) session.close()
    }
  }
}

function isUsable (session: ClientHttp2Session): boolean {
  return !session.closed && !session.destroyed
}

function limitOf ({ remoteSettings: { maxConcurrentStreams = Infinity } }: ClientHttp2Session): number {
  return maxConcurrentStreams
}

const PROTOCOL_ERRORS = /PROTOCOL_ERROR|FLOW_CONTROL_ERROR|FRAME_SIZE_ERROR|COMPRESSION_ERROR|ENHANCE_YOUR_CALM/

/** As undici would have it: what the workload sent was no HTTP/2, or its connection broke. */
export function connectionError (error: Error): Error {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === undefined || !code.startsWith('ERR_HTTP2_')) return error
  return code === 'ERR_HTTP2_ERROR' || PROTOCOL_ERRORS.test(message)
    ? invalidResponse()
    : new errors.SocketError('closed')
}
