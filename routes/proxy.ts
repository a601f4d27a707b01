/** The catch-all: opens what arrives, forwards it to the workload with reply-from, seals what comes back. */
import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Exchange } from '../lib/exchange.ts'
import { hasBody } from '../lib/exchanges/incoming.ts'
import { responseHeaders } from '../lib/headers.ts'
import type { ResponseHeaders } from '../lib/headers.ts'
import { PROBLEM_MEDIA_TYPE, Problem } from '../lib/problems.ts'
import { describeError } from '../plugins/errors.ts'
import { forwardedMethods } from '../plugins/methods.ts'
import { forwardHeaders } from '../plugins/upstream.ts'

declare module 'fastify' {
  interface FastifyRequest {
    exchange: Exchange | null
    /** Headers of the workload's response, where they will be sealed; null while there is none. */
    workloadHeaders: ResponseHeaders | null
  }
}

export default async function proxy (app: FastifyInstance) {
  const { attestation, config, crypto } = app.polaris
  app.decorateRequest('exchange', null)
  app.decorateRequest('workloadHeaders', null)

  // The exchange holds the body; Fastify's parsers never see it.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))

  app.route({
    method: [...forwardedMethods],
    url: '*',
    exposeHeadRoute: false,
    // Targets and errors may quote what the workload is told or tells.
    logSerializers: { req: ({ method }: FastifyRequest) => ({ method }), err: describeError },
    onRequest: accept,
    preParsing: open,
    handler: forward,
    onSend: seal
  })

  async function accept (request: FastifyRequest, reply: FastifyReply) {
    if (request.method === 'OPTIONS' && request.originalUrl === '*') throw new Problem('not-found')
    attestation.admit(reply.raw)
    if (config.clientIdleTimeout > 0 && hasBody(request)) expectBody(request, reply)
  }

  async function open (request: FastifyRequest, reply: FastifyReply) {
    const exchange = await crypto.open(request)
    request.exchange = exchange
    if (exchange.release !== undefined) reply.raw.once('close', exchange.release)
    // Fastify refuses media types it cannot parse; this header is the workload's business, and was taken over already.
    if (request.raw.headers['content-type'] !== undefined) request.raw.headers['content-type'] = 'application/octet-stream'
  }

  /** A client that is silent within its body is told so, and let go. */
  function expectBody ({ raw }: FastifyRequest, reply: FastifyReply) {
    raw.setTimeout(config.clientIdleTimeout, () => {
      // Octets that nobody took yet mean that the workload is slow, not the client.
      if (raw.readableLength > 0 || raw.complete) return
      if (reply.sent) raw.destroy()
      else reply.send(new Problem('client-timeout'))
      reply.raw.once('finish', () => raw.destroy())
    })
    raw.once('end', () => raw.setTimeout(0))
  }
}

function forward (request: FastifyRequest, reply: FastifyReply) {
  const exchange = request.exchange as Exchange
  if (exchange.refusal !== undefined) throw exchange.refusal
  const signal = new EventEmitter()
  reply.raw.once('close', () => { if (!reply.raw.writableFinished) signal.emit('abort') })
  return reply.from('/', {
    method: exchange.method as 'POST',
    rewriteRequestHeaders: () => forwardHeaders(exchange, signal),
    rewriteHeaders (headers) {
      if (exchange.seal === undefined) return responseHeaders(headers, true) as Record<string, string>
      request.workloadHeaders = responseHeaders(headers, true)
      return {}
    },
    onError (reply, { error }) {
      if (reply.raw.destroyed) reply.hijack()
      else reply.send(error.cause instanceof Problem ? error.cause : new Problem('upstream-invalid', { cause: error }))
    }
  })
}

async function seal (request: FastifyRequest, reply: FastifyReply, payload: unknown) {
  const { exchange, workloadHeaders } = request
  if (exchange?.seal === undefined) return payload
  // Should sealing fail, the error handler's answer comes by here again, and is not the workload's.
  request.workloadHeaders = null
  const bodiless = exchange.method === 'HEAD' || reply.statusCode === 204 || reply.statusCode === 304
  if (bodiless && payload instanceof Readable) payload.resume()
  const sealed = await exchange.seal({
    status: reply.statusCode,
    headers: workloadHeaders ?? { 'content-type': PROBLEM_MEDIA_TYPE },
    body: bodiless ? undefined : payload as Readable | string,
    fromWorkload: workloadHeaders !== null
  })
  reply.code(sealed.status).removeHeader('content-length').headers(sealed.headers)
  return sealed.body
}
