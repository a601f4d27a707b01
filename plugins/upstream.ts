/**
 * @fastify/reply-from, configured for the workload. reply-from asks for an object with a `request` function; ours takes
 * the exchange off the headers it is given and sends exactly that: the target byte for byte, the body as a stream, and
 * an abort when the client goes away (docs/decisions/reply-from-seam.md).
 */
import type { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import replyFrom from '@fastify/reply-from'
import fp from 'fastify-plugin'
import { Pool, errors } from 'undici'
import type { Dispatcher } from 'undici'
import type { Exchange } from '../lib/exchange.ts'
import { Problem } from '../lib/problems.ts'
import { BhttpError } from '../lib/protocols/bhttp.ts'
import { OhttpError } from '../lib/protocols/ohttp.ts'

/** Where the exchange rides through reply-from, which copies symbol-keyed headers along. */
const FORWARD = Symbol('polaris.forward')

interface Forward {
  readonly exchange: Exchange
  /** Emits 'abort' when the client is gone. */
  readonly signal: EventEmitter
}

type ForwardHeaders = Record<string, string> & { [FORWARD]?: Forward }

/** For `rewriteRequestHeaders`: headers that carry the exchange to the workload. */
export function forwardHeaders (exchange: Exchange, signal: EventEmitter): Record<string, string> {
  const headers: ForwardHeaders = {}
  headers[FORWARD] = { exchange, signal }
  return headers
}

/** Response headers of the workload that are larger are refused. */
const MAX_RESPONSE_HEADER_BYTES = 64 * 1024

export default fp(async function upstream (app) {
  const { config } = app.polaris
  const { origin, pathname } = new URL(config.workloadBaseUrl)
  const basePath = pathname.replace(/\/$/, '')
  const pool = new Pool(origin, {
    connections: config.upstreamConnections,
    pipelining: 1,
    headersTimeout: config.upstreamHeadersTimeout,
    bodyTimeout: config.upstreamIdleTimeout,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    connect: { timeout: config.upstreamConnectTimeout, rejectUnauthorized: config.upstreamTlsVerify }
  })
  app.addHook('onClose', () => pool.close())

  function request (options: { headers: ForwardHeaders }, callback: (error: Error | null, response?: Dispatcher.ResponseData) => void): void {
    const { exchange, signal } = options.headers[FORWARD] as Forward
    pool.request({
      path: basePath + exchange.target,
      method: exchange.method as Dispatcher.HttpMethod,
      headers: framed(exchange),
      body: exchange.body ?? null,
      signal
    }, (error, response) => {
      if (error) callback(upstreamProblem(error))
      else callback(null, response)
    })
  }

  await app.register(replyFrom, {
    base: origin,
    undici: { request } as never,
    retryMethods: [],
    disableRequestLogging: true
  })
}, { name: 'polaris-upstream', dependencies: ['polaris-config'] })

/** A body whose length is known is framed by it, any other by chunks. */
function framed ({ headers, body, bodyLength }: Exchange): string[] {
  if (!(body instanceof Readable) || bodyLength === undefined) return headers as string[]
  return [...headers, 'content-length', String(bodyLength)]
}

/** undici's errors quote what the workload sent, and carry it: only their kind goes on. */
export function upstreamProblem (error: Error): Problem {
  // The body that came out of decryption broke off, or was tampered with: the workload has nothing to do with it.
  if (error instanceof OhttpError || error instanceof BhttpError) return new Problem('bad-request', { cause: error })
  const cause = Object.assign(new Error(error.name), { code: (error as { code?: unknown }).code })
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError || error instanceof errors.ConnectTimeoutError) {
    return new Problem('upstream-timeout', { cause })
  }
  if (error instanceof errors.HTTPParserError || error instanceof errors.HeadersOverflowError || error instanceof errors.InvalidArgumentError) {
    return new Problem('upstream-invalid', { cause })
  }
  return new Problem('upstream-unreachable', { cause })
}
