/** The catch-all: opens what arrives, forwards it to the workload with reply-from, seals what comes back. */
import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { trustedProxies } from '../lib/http/trusted-proxies.ts'
import type { Exchange } from '../lib/exchanges/exchange.ts'
import { createAddressRewriter } from '../lib/http/addresses.ts'
import { clientBehind } from '../lib/http/caller.ts'
import { climbsOut, isSystemTarget } from '../lib/http/target.ts'
import { responseHeaders } from '../lib/http/headers.ts'
import type { ResponseHeaders } from '../lib/http/headers.ts'
import { PROBLEM_MEDIA_TYPE, Problem } from '../lib/http/problems.ts'
import { describeError } from '../lib/http/describe-error.ts'
import { isGrpc, withGrpcStatus } from '../lib/trailers/grpc.ts'
import { arrived } from '../lib/streams/arrived.ts'
import { addTrailers, responseTrailers, takesTrailers } from '../lib/trailers/trailers.ts'
import { workloadAddress } from '../lib/workload/address.ts'
import { forwardedMethods } from '../plugins/server/http-semantics.ts'
import { forwardHeaders } from '../plugins/workload.ts'

declare module 'fastify' {
  interface FastifyRequest {
    exchange: Exchange | null
    /** End-to-end headers of the workload's response; null while there is none. */
    workloadHeaders: ResponseHeaders | null
    /** Returns the trailers of the workload's response once its body was read; null if the client takes none. */
    workloadTrailers: (() => ResponseHeaders) | null
  }
}

export default async function proxy (app: FastifyInstance) {
  const {
    answers, attestation, config: { contextRoot, trustProxy, workloadBaseUrl }, cors, exchanges, limits, metrics,
    tunnels
  } = app.polaris
  const { url: base, basePath } = workloadAddress(workloadBaseUrl)
  const hasBasePath = basePath !== ''
  const rewriteAddresses = createAddressRewriter(base)
  const isTrusted = trustedProxies(trustProxy)
  app.decorateRequest('exchange', null)
  app.decorateRequest('workloadHeaders', null)
  app.decorateRequest('workloadTrailers', null)

  // The exchange holds the body; Fastify's parsers never see it.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))

  const sending = [...answers.opened, seal, ...answers.sealed, ...metrics.observes ? [leave] : []]
  const pipeline = {
    exposeHeadRoute: false,
    // Targets and errors may quote what the workload is told or tells.
    logSerializers: { req: ({ method }: FastifyRequest) => ({ method }), err: describeError },
    onRequest: accept,
    preParsing: open,
    handler: forward,
    onSend: sending,
    onError: forget
  }
  app.route({ ...pipeline, method: [...forwardedMethods], url: '*' })
  for (const [path, protocols] of exchanges.endpoints) {
    const onlyThese = async (request: FastifyRequest) => {
      if (!protocols.some(protocol => protocol.recognises(request))) throw new Problem('unsupported-media-type')
    }
    for (const root of new Set(['', contextRoot])) {
      app.route({ ...pipeline, method: 'POST', url: root + path, onRequest: [onlyThese, accept] })
    }
  }

  function accept (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) {
    if (request.method === 'OPTIONS' && request.originalUrl === '*') throw new Problem('not-found')
    attestation.admit(reply.raw)
    const counted = limits?.admit(request, reply)
    if (counted === undefined) done()
    else counted.then(() => done(), done)
  }

  async function open (request: FastifyRequest, reply: FastifyReply) {
    if (tunnels.has(request.raw)) tunnels.check(request.raw)
    const opened = await exchanges.open(request)
    const exchange = answers.accept?.(request, opened) ?? opened
    request.exchange = exchange
    request.passage?.reached('opened')
    if (reply.raw.destroyed) exchange.release?.()
    else if (exchange.release !== undefined) reply.raw.once('close', exchange.release)
    // Seen after opening, so it holds for targets that only the proxy could read, too.
    if (isSystemTarget(exchange.target)) throw new Problem('not-found')
    if (hasBasePath && climbsOut(exchange.target)) throw new Problem('bad-request')
    // Fastify refuses media types it cannot parse, and QUERY without one. That is the workload's business: the exchange
    // has the header as it came.
    request.raw.headers['content-type'] = 'application/octet-stream'
  }

  function forward (request: FastifyRequest, reply: FastifyReply) {
    // The client may have gone while its request was opened.
    if (reply.raw.destroyed) return reply.hijack()
    const exchange = request.exchange as Exchange
    if (exchange.refusal !== undefined) throw exchange.refusal
    const received = (headers: ResponseHeaders) => receive(headers, request, reply)
    if (tunnels.has(request.raw)) return tunnels.forward(request, reply, received)
    const signal = new EventEmitter()
    reply.raw.once('close', () => { if (!reply.raw.writableFinished) signal.emit('abort') })
    const client = () => clientBehind(request.raw, isTrusted)
    const onTrailers = exchange.seal === undefined && takesTrailers(request.raw) &&
      ((trailers: () => ResponseHeaders) => { request.workloadTrailers = trailers })
    return reply.from('/', {
      method: exchange.method as 'POST',
      rewriteRequestHeaders: () =>
        forwardHeaders({ exchange, signal, client, passage: request.passage, ...onTrailers && { onTrailers } }),
      rewriteHeaders (headers) {
        const kept = received(headers)
        // Such as one with a length inside: the workload need not wait for the proof of its end. reply-from ends the
        // connection.
        if (!request.raw.complete && !request.raw.destroyed) request.server.polaris.linger(request.raw, true)
        return kept as Record<string, string>
      },
      onError (reply, { error }) {
        if (reply.raw.destroyed) reply.hijack()
        else {
          reply.send(error.cause instanceof Problem ? error.cause : new Problem('upstream-invalid', { cause: error }))
        }
      }
    })
  }

  /** The workload's response headers: noted, and returned as they leave, but for those that are to be sealed. */
  function receive (headers: ResponseHeaders, request: FastifyRequest, reply: FastifyReply): ResponseHeaders {
    const exchange = request.exchange as Exchange
    const kept = responseHeaders(headers, true)
    rewriteAddresses(kept, exchange.prefix ?? '')
    // What CORS makes of the origin stays in force beside what the workload's answer depends on.
    const vary = [kept['vary'] ?? [], reply.getHeader('vary') ?? []].flat()
    if (vary.length > 0) kept['vary'] = vary.join(', ')
    request.workloadHeaders = kept
    return exchange.seal === undefined ? outside(kept, request) : {}
  }

  /** Response headers as they leave where everyone can read them. */
  function outside (headers: ResponseHeaders, { headers: { origin } }: FastifyRequest): ResponseHeaders {
    const kept: ResponseHeaders = {}
    for (const name in headers) if (cors.allows(name, origin)) kept[name] = headers[name]
    // nginx holds responses back until a buffer is full, unless it is told not to.
    if (/^text\/event-stream\b/i.test(String(kept['content-type'] ?? ''))) kept['x-accel-buffering'] ??= 'no'
    return kept
  }

  async function seal (request: FastifyRequest, reply: FastifyReply, payload: unknown) {
    const { exchange, workloadHeaders } = request
    if (exchange?.seal === undefined) {
      if (!(payload instanceof Readable)) return payload
      // Of a 204 with a stream, even an empty one, Fastify would remove the content-type.
      if (reply.statusCode === 204) {
        payload.resume()
        return null
      }
      const whole = await arrived(payload, lengthOf(workloadHeaders))
      if (whole !== undefined) return whole
      sendHeaders(reply)
      resetIfCut(reply, payload)
      return withTrailers(payload, request, reply)
    }
    // Should sealing fail, the error handler's answer comes by here again, and is not the workload's.
    request.workloadHeaders = null
    const bodiless = exchange.method === 'HEAD' || reply.statusCode === 204 || reply.statusCode === 304
    if (bodiless && payload instanceof Readable) payload.resume()
    request.passage?.seals()
    try {
      const sealed = await exchange.seal({
        status: reply.statusCode,
        headers: workloadHeaders ?? { 'content-type': PROBLEM_MEDIA_TYPE },
        body: bodiless ? undefined : payload as Readable | string,
        fromWorkload: workloadHeaders !== null
      })
      // As in responseHeaders, the length comes last.
      const { 'content-length': length, ...headers } = outside(sealed.headers, request)
      reply.code(sealed.status).removeHeader('content-length').headers(headers)
      if (length !== undefined) reply.header('content-length', length)
      if (sealed.body instanceof Readable) resetIfCut(reply, sealed.body)
      // Of a string, Node would make one with the header lines, and write all of it as UTF-8.
      return typeof sealed.body === 'string' ? Buffer.from(sealed.body) : sealed.body ?? null
    } catch (error) {
      // What is not sealed is not read any further, and must not keep its connection.
      if (payload instanceof Readable) {
        payload.once('error', error => request.log.debug({ err: error }, 'response given up')).destroy()
      }
      throw error
    }
  }
}

/** That the workload announces, if it announces one. */
function lengthOf (headers: ResponseHeaders | null): number | undefined {
  const length = headers?.['content-length']
  return typeof length === 'string' && /^\d{1,15}$/.test(length) ? Number(length) : undefined
}

/** Before Fastify ends the response, which it does when the body ends. One whose length was announced has none. */
function withTrailers (payload: Readable, { workloadHeaders, workloadTrailers }: FastifyRequest, reply: FastifyReply) {
  if (workloadHeaders === null || workloadTrailers === null || 'content-length' in workloadHeaders) return payload
  payload.once('end', () => {
    const trailers = responseTrailers(workloadTrailers())
    if (trailers.length > 0) addTrailers(reply.raw, trailers)
  })
  return isGrpc(workloadHeaders) ? withGrpcStatus(payload, reply.raw) : payload
}

/** The response is as it goes out. */
function leave (
  { passage }: FastifyRequest, _reply: FastifyReply, payload: unknown, done: (error: null, payload: unknown) => void
) {
  passage?.reached('responded')
  if (payload instanceof Readable) passage?.watch(payload)
  done(null, payload)
}

const NOTHING = Buffer.alloc(0)

/**
 * Fastify keeps headers back for the first byte of a stream. The client of an event stream waits for them. Node's
 * flushHeaders() would write them as UTF-8, and each byte above ASCII as two.
 */
function sendHeaders ({ raw }: FastifyReply) {
  setImmediate(() => { if (!raw.headersSent && !raw.destroyed) raw.write(NOTHING) })
}

/**
 * HTTP/1.0 knows no chunks: there the end of the connection ends a body without a length. A response that was cut off
 * looks complete to such a client, unless the connection breaks.
 */
function resetIfCut ({ raw, request }: FastifyReply, body: Readable) {
  if (request.raw.httpVersion !== '1.0') return
  // Kept: a request that undici gives up loses its connection.
  const { socket } = raw
  body.once('error', () => {
    if (!raw.headersSent || raw.hasHeader('content-length')) return
    // TLS shows by itself that it was cut off, and Node resets no such connection.
    if (socket !== null && 'encrypted' in socket) socket.destroy()
    else socket?.resetAndDestroy()
  })
}

/** A workload that broke off before anything was sent leaves no headers to the answer that says so. */
async function forget ({ workloadHeaders }: FastifyRequest, reply: FastifyReply) {
  for (const name in workloadHeaders) reply.removeHeader(name)
}
