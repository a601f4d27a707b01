/**
 * @fastify/reply-from, configured for the workload. reply-from asks for an object with a `request` function; ours takes
 * the exchange off the headers it is given and sends exactly that: the target byte for byte, the body as a stream, and
 * an abort when the client goes away (docs/decisions/0003-reply-from-seam.md).
 */
import type { EventEmitter } from 'node:events'
import { connect } from 'node:net'
import { Readable, finished } from 'node:stream'
import replyFrom from '@fastify/reply-from'
import fp from 'fastify-plugin'
import type { Exchange } from '../lib/exchanges/exchange.ts'
import type { ResponseHeaders } from '../lib/http/headers.ts'
import { Problem } from '../lib/http/problems.ts'
import { workloadProblem } from '../lib/http/workload-problem.ts'
import type { ConnectionCounts } from '../lib/metrics/gauges.ts'
import type { Passage } from '../lib/metrics/passage.ts'
import { provide } from '../lib/polaris.ts'
import { workloadAddress } from '../lib/workload/address.ts'
import type { WorkloadResponse } from '../lib/workload/client.ts'
import { createConnections } from '../lib/workload/connections.ts'
import { createHttp1Client } from '../lib/workload/http1.ts'
import { createHttp2Client } from '../lib/workload/http2/client.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly workload: Workload
  }
}

export interface Workload {
  connections (): ConnectionCounts
}

/** Where the exchange rides through reply-from, which copies symbol-keyed headers along. */
const FORWARD = Symbol('polaris.forward')

export interface Forward {
  readonly exchange: Exchange
  /** Emits 'abort' when the client is gone. */
  readonly signal: EventEmitter
  /** What the client is counted by. */
  readonly client: () => string
  /** Null if metrics are off. */
  readonly passage: Passage | null
  /** Given what returns the trailers of the response, once its body was read; absent if they are not wanted. */
  readonly onTrailers?: (trailers: () => ResponseHeaders) => void
}

type ForwardHeaders = Record<string, string> & { [FORWARD]?: Forward }
type Callback = (error: Error | null, response?: WorkloadResponse) => void

/** For `rewriteRequestHeaders`: headers that carry the exchange to the workload. */
export function forwardHeaders (forward: Forward): Record<string, string> {
  const headers: ForwardHeaders = {}
  headers[FORWARD] = forward
  return headers
}

/** A probe waits no longer for the workload to accept a connection. */
const PROBE_TIMEOUT = 1000

export default fp(async function workload (app) {
  const { config, readiness } = app.polaris
  const address = workloadAddress(config.workloadBaseUrl)
  const connections = createConnections(config.workloadConnections, config.workloadConnectTimeout)
  readiness.add('workload', () => {
    if (connections.isFull) return 'all connections are in use'
    return config.readyChecksWorkload ? probe(address.url) : undefined
  })
  const timeouts = {
    connectTimeout: config.workloadConnectTimeout,
    headersTimeout: config.workloadHeadersTimeout,
    idleTimeout: config.workloadIdleTimeout
  }
  const { workloadConnections, workloadTlsVerify } = config
  const client = address.isH2c
    ? createHttp2Client(address, timeouts)
    : createHttp1Client(address, { ...timeouts, connections: workloadConnections, verify: workloadTlsVerify })
  app.addHook('onClose', () => client.close())
  provide(app.polaris, 'workload', {
    connections: () => ({ open: client.stats.connected, idle: client.stats.free, waiting: connections.waiting })
  })

  function request (options: { headers: ForwardHeaders }, callback: Callback): void {
    const forward = options.headers[FORWARD] as Forward
    let isGone = false
    forward.signal.once('abort', () => { isGone = true })
    try {
      countUpload(forward)
      const taken = connections.take()
      if (typeof taken === 'function') return send(forward, taken, callback)
      taken.then(giveBack => {
        if (!isGone) return send(forward, giveBack, callback)
        giveBack()
        callback(new Problem('upstream-unreachable'))
      }, callback)
    } catch (error) {
      callback(error as Error)
    }
  }

  /** A body that has arrived keeps no connection waiting. */
  function countUpload ({ exchange: { body }, client }: Forward): void {
    if (!(body instanceof Readable) || body.readableEnded || (body as { complete?: boolean }).complete === true) return
    finished(body, { writable: false }, connections.startUpload(client()))
  }

  function send (
    { exchange, signal, passage, onTrailers }: Forward, giveBack: () => void, callback: Callback
  ): void {
    passage?.reached('forwarded')
    client.send({ exchange, signal, takesTrailers: onTrailers !== undefined }, (error, response) => {
      if (response === undefined) {
        passage?.workloadFailed(error)
        giveBack()
        return callback(workloadProblem(error as Error))
      }
      response.body.once('close', giveBack)
      if (passage !== null) observe(passage, response)
      onTrailers?.(response.trailers)
      callback(null, response)
    })
  }

  await app.register(replyFrom, {
    base: address.url.origin,
    undici: { request } as never,
    retryMethods: [],
    disableRequestLogging: true
  })
}, { name: 'polaris-workload', dependencies: ['polaris-config'] })

function observe (passage: Passage, { body }: WorkloadResponse): void {
  passage.reached('answered')
  body.once('end', () => passage.reached('contentHere')).once('error', error => passage.workloadFailed(error))
}

/** Whether the workload accepts connections; the reason, where it does not, names no address. */
function probe ({ protocol, hostname, port }: URL): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port) || (protocol === 'https:' ? 443 : 80),
      timeout: PROBE_TIMEOUT
    })
    const settle = (reason?: string) => {
      socket.destroy()
      resolve(reason)
    }
    socket.once('connect', () => settle())
    socket.once('timeout', () => settle('does not accept connections'))
    socket.once('error', () => settle('does not accept connections'))
  })
}
