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
import { Pool, errors } from 'undici'
import type { Dispatcher } from 'undici'
import { HIGH_WATER_MARK } from '../lib/streams/convert.ts'
import type { Exchange } from '../lib/exchanges/exchange.ts'
import { Problem } from '../lib/http/problems.ts'
import { workloadProblem } from '../lib/http/workload-problem.ts'
import type { ConnectionCounts } from '../lib/metrics/gauges.ts'
import type { Passage } from '../lib/metrics/passage.ts'
import { provide } from '../lib/polaris.ts'
import { createConnections } from '../lib/workload/connections.ts'
import { createWorkloadConnector } from '../lib/workload/connector.ts'

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
}

type ForwardHeaders = Record<string, string> & { [FORWARD]?: Forward }
type Response = Dispatcher.ResponseData
type Callback = (error: Error | null, response?: Response) => void

/** For `rewriteRequestHeaders`: headers that carry the exchange to the workload. */
export function forwardHeaders (forward: Forward): Record<string, string> {
  const headers: ForwardHeaders = {}
  headers[FORWARD] = forward
  return headers
}

/** Response headers of the workload that are larger are refused. */
const MAX_RESPONSE_HEADER_BYTES = 64 * 1024
/** RFC 9110, section 15: there are five classes of status codes. */
const MAX_STATUS = 599
/** More interim responses than any workload has to say. */
const MAX_INTERIM = 100
/**
 * How long an idle connection is kept where the workload does not say how long it keeps it. Two seconds are not
 * unusual, and a request that meets a connection just being closed is lost: it may have been processed, so it is not
 * sent again.
 */
const KEEP_ALIVE = 1000
/** A probe waits no longer for the workload to accept a connection. */
const PROBE_TIMEOUT = 1000

export default fp(async function workload (app) {
  const { config, readiness } = app.polaris
  const base = new URL(config.workloadBaseUrl)
  const { origin } = base
  const basePath = base.pathname.replace(/\/$/, '')
  const connections = createConnections(config.workloadConnections, config.workloadConnectTimeout)
  readiness.add('workload', () => {
    if (connections.isFull) return 'all connections are in use'
    return config.readyChecksWorkload ? probe(base) : undefined
  })
  const pool = new Pool(origin, {
    connections: config.workloadConnections,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE,
    headersTimeout: config.workloadHeadersTimeout,
    bodyTimeout: config.workloadIdleTimeout,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    connect: createWorkloadConnector(
      { timeout: config.workloadConnectTimeout, rejectUnauthorized: config.workloadTlsVerify }
    )
  })
  app.addHook('onClose', () => pool.close())
  provide(app.polaris, 'workload', {
    connections: () => ({ open: pool.stats.connected, idle: pool.stats.free, waiting: connections.waiting })
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

  function send ({ exchange, signal, passage }: Forward, giveBack: () => void, callback: Callback): void {
    const interim = limitInterim(signal)
    passage?.reached('forwarded')
    pool.request({
      path: basePath + exchange.target,
      method: exchange.method as Dispatcher.HttpMethod,
      headers: framed(exchange),
      body: exchange.body ?? null,
      // A workload that takes no notice of such a body must not take it for the next request.
      ...exchange.body !== undefined && (exchange.method === 'GET' || exchange.method === 'HEAD') && { reset: true },
      highWaterMark: HIGH_WATER_MARK,
      signal,
      onInfo: interim.next
    }, (error, response) => {
      interim.end()
      if (error) {
        passage?.workloadFailed(error)
        giveBack()
        return callback(workloadProblem(error))
      }
      response.body.once('close', giveBack)
      if (passage !== null) observe(passage, response)
      if (response.statusCode > MAX_STATUS || isCoded(response)) {
        // reply-from would refuse the status too, but leave the body, and with it the connection, hanging.
        response.body.once('error', cause => callback(new Problem('upstream-invalid', { cause }))).destroy()
      } else if (response.statusCode === 304) {
        // It has no body, but may tell the length that one would have: undici then misses the body.
        response.body.once('error', () => app.log.debug('304 with a length')).resume()
        callback(null, { ...response, body: Readable.from([]) as Response['body'] })
      } else callback(null, response)
    })
  }

  /** undici's timeout for response headers begins again with each interim response: one that has none does not. */
  function limitInterim (signal: EventEmitter & { reason?: Error }): { next: () => void, end: () => void } {
    let count = 0
    let timer: NodeJS.Timeout | undefined
    function giveUp (reason: Error): void {
      signal.reason = reason
      signal.emit('abort')
    }
    return {
      next () {
        if (++count > MAX_INTERIM) giveUp(new errors.HTTPParserError('Too many interim responses'))
        else if (config.workloadHeadersTimeout > 0) {
          timer ??= setTimeout(giveUp, config.workloadHeadersTimeout, new errors.HeadersTimeoutError())
        }
      },
      end: () => clearTimeout(timer)
    }
  }

  await app.register(replyFrom, {
    base: origin,
    undici: { request } as never,
    retryMethods: [],
    disableRequestLogging: true
  })
}, { name: 'polaris-workload', dependencies: ['polaris-config'] })

function observe (passage: Passage, { body }: Response): void {
  passage.reached('answered')
  body.once('end', () => passage.reached('contentHere')).once('error', error => passage.workloadFailed(error))
}

/** undici undoes chunks, and no other transfer coding: without its name, what is left would be taken for content. */
function isCoded ({ headers }: Response): boolean {
  const codings = headers['transfer-encoding']
  return codings !== undefined && String(codings).trim().toLowerCase() !== 'chunked'
}

/** A body whose length is known is framed by it, any other by chunks. */
function framed ({ headers, body, bodyLength }: Exchange): string[] {
  if (!(body instanceof Readable) || bodyLength === undefined) return headers as string[]
  return [...headers, 'content-length', String(bodyLength)]
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
