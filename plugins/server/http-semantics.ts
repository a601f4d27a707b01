/**
 * Every method that Node's parser knows is forwarded, so every one is made known to Fastify. CONNECT asks for a tunnel.
 * What Node's server would answer by itself is answered like everything else, with problems.
 */
import { METHODS } from 'node:http'
import type { IncomingMessage } from 'node:http'
import fp from 'fastify-plugin'
import { Problem } from '../../lib/http/problems.ts'
import { answerWithout } from './options.ts'

export const forwardedMethods: readonly string[] = METHODS.filter(method => method !== 'CONNECT')

export default fp(async function httpSemantics (app) {
  const known = new Set(app.supportedMethods)
  // Node would just close the connection.
  if (app.server.listenerCount('connect') === 0) {
    app.server.on('connect', (_request, socket) => answerWithout(socket, new Problem('no-tunnels')))
  }
  // Node would say 417. What we do not know how to expect we may leave out of account (RFC 9110, section 10.1.1).
  if (app.server.listenerCount('checkExpectation') === 0) {
    app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  }
  app.addHook('onRequest', (request, _reply, done) => {
    if (hasOneHost(request.raw)) done()
    else done(new Problem('bad-request'))
  })
  for (const method of forwardedMethods) if (!known.has(method)) app.addHttpMethod(method, { hasBody: true })
}, { name: 'polaris-http-semantics' })

/** RFC 9112, section 3.2: exactly one, but for HTTP/1.0, which does not know it. */
function hasOneHost ({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]?.length === 4 && rawHeaders[i]?.toLowerCase() === 'host') hosts++
  return hosts === 1 || (hosts === 0 && httpVersion === '1.0')
}
