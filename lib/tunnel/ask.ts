/** Asks the workload to switch to WebSocket. It may switch, or answer with something else. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { errors } from 'undici'
import type { Dispatcher } from 'undici'
import type { Exchange } from '../exchanges/exchange.ts'
import type { ResponseHeaders } from '../http/headers.ts'
import { Problem } from '../http/problems.ts'
import { acceptsWebSocket } from './handshake.ts'

/** The connection, if the workload switched; otherwise the body of its answer. */
export type Answer = { readonly status: number, readonly headers: ResponseHeaders } & (
  { readonly socket: Socket } | { readonly socket?: never, readonly body: Readable }
)

export interface AskOptions {
  readonly dispatcher: Dispatcher
  /** In front of every target; empty, or '/path'. */
  readonly basePath: string
  /** Milliseconds from the request to the head of the answer; 0 for any number. */
  readonly headersTimeout: number
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
}

/** More interim responses than any workload has to say. */
const MAX_INTERIM = 100
/** RFC 9110, section 15: there are five classes of status codes. */
const MAX_STATUS = 599

/**
 * @throws {Problem} upstream-invalid: a 101 to something else, or no HTTP that can be forwarded
 * @throws {Error} undici's, of the connection
 */
export function askWorkload (exchange: Exchange, { dispatcher, ...options }: AskOptions): Promise<Answer> {
  const { basePath, headersTimeout, signal } = options
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const { headers } = exchange
  const keys = headers.filter((_, i) => i % 2 === 1 && headers[i - 1] === 'sec-websocket-key')
  let interim = 0
  let timer: NodeJS.Timeout | undefined
  let body: Readable | undefined
  let abort: ((reason: Error) => void) | undefined
  const onGone = () => abort?.(new errors.RequestAbortedError())
  signal.addEventListener('abort', onGone)

  function settle (): void {
    clearTimeout(timer)
    abort = undefined
    signal.removeEventListener('abort', onGone)
  }

  dispatcher.dispatch({
    path: basePath + exchange.target,
    method: 'GET',
    headers: headers as string[],
    upgrade: 'websocket'
  }, {
    onRequestStart (controller) {
      abort = reason => controller.abort(reason)
      if (signal.aborted) return onGone()
      if (headersTimeout > 0) {
        timer = setTimeout(() => controller.abort(new errors.HeadersTimeoutError()), headersTimeout)
      }
    },
    onRequestUpgrade (_controller, status, headers, socket) {
      settle()
      if (!acceptsWebSocket(headers, keys)) {
        socket.destroy()
        return reject(new Problem('upstream-invalid'))
      }
      resolve({ status, headers, socket: socket as Socket })
    },
    onResponseStart (controller, status, headers) {
      if (status < 200) {
        // It says that it switches, and not to what.
        if (status === 101 || ++interim > MAX_INTERIM) controller.abort(new Problem('upstream-invalid'))
        return
      }
      settle()
      if (status > MAX_STATUS || isCoded(headers)) return controller.abort(new Problem('upstream-invalid'))
      body = bodyOf(controller)
      resolve({ status, headers, body })
    },
    onResponseData (controller, piece) {
      if (body?.push(piece) === false) controller.pause()
    },
    onResponseEnd () {
      body?.push(null)
    },
    onResponseError (_controller, error) {
      settle()
      reject(error)
      body?.destroy(error)
    }
  })
  return promise
}

function bodyOf (controller: Dispatcher.DispatchController): Readable {
  return new Readable({
    read: () => controller.resume(),
    destroy (error, done) {
      if (!this.readableEnded) controller.abort(error ?? new errors.RequestAbortedError())
      done(error)
    }
  })
}

/** undici undoes chunks, and no other transfer coding. */
function isCoded ({ 'transfer-encoding': codings }: ResponseHeaders): boolean {
  return codings !== undefined && String(codings).trim().toLowerCase() !== 'chunked'
}
