/**
 * Every method that Node's parser knows is forwarded, so every one is made known to Fastify. CONNECT asks for a tunnel.
 * What Node's server would answer by itself is answered like everything else, with problems.
 */
import { METHODS } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import { Problem } from '../../lib/http/problems.ts'
import { addToParserErrors, answerWithout } from './parser-errors.ts'
import { serveUpgrades } from './upgrades.ts'

export const forwardedMethods: readonly string[] = METHODS.filter(method => method !== 'CONNECT')

export default fp(async function httpSemantics (app) {
  const { server } = app
  const known = new Set(app.supportedMethods)
  addToParserErrors(server, origin => app.polaris.cors.headers(origin))
  // Node would just close the connection.
  if (server.listenerCount('connect') === 0) {
    server.on('connect', ({ headers: { origin } }, socket) => answerWithout(
      socket, new Problem('no-tunnels'), app.polaris.cors.headers(origin)
    ))
  }
  // Node would say 417. What we do not know how to expect we may leave out of account (RFC 9110, section 10.1.1).
  if (server.listenerCount('checkExpectation') === 0) {
    server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  }
  // Node would ask for the body before anyone has looked at the head.
  if (server.listenerCount('checkContinue') === 0) {
    server.on('checkContinue', (request, response) => {
      continueOnRead(request, response)
      server.emit('request', request, response)
    })
  }
  if (server.listenerCount('upgrade') === 0) serveUpgrades(server, request => app.polaris.tunnels.takes(request))
  app.addHook('onRequest', (request, _reply, done) => {
    const { raw } = request
    if (!hasOneHost(raw)) done(new Problem('bad-request'))
    else if (isCoded(raw)) done(new Problem('transfer-coding'))
    else done()
  })
  for (const method of forwardedMethods) if (!known.has(method)) app.addHttpMethod(method, { hasBody: true })
}, { name: 'polaris-http-semantics', dependencies: ['polaris-cors'] })

/** RFC 9112, section 3.2: exactly one, but for HTTP/1.0, which does not know it. */
function hasOneHost ({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === 4 && rawHeaders[i]?.toLowerCase() === 'host') hosts++
  }
  return hosts === 1 || (hosts === 0 && httpVersion === '1.0')
}

/** Node undoes chunks, and no other transfer coding: without its name, what is left would be taken for content. */
function isCoded ({ headers }: IncomingMessage): boolean {
  const codings = headers['transfer-encoding']
  return codings !== undefined && codings.trim().toLowerCase() !== 'chunked'
}

/**
 * Says 100 Continue when the body is first asked for: a request that is refused by its head is not asked to send it.
 */
function continueOnRead (request: IncomingMessage, response: ServerResponse): void {
  const read = request._read
  request._read = function (size) {
    request._read = read
    if (!response.headersSent && !response.destroyed) response.writeContinue()
    return read.call(this, size)
  }
}
