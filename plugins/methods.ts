/** Every method that Node's parser knows is forwarded, so every one is made known to Fastify. CONNECT asks for a tunnel. */
import { METHODS } from 'node:http'
import fp from 'fastify-plugin'
import { Problem } from '../lib/problems.ts'
import { answerWithout } from '../lib/server-options.ts'

export const forwardedMethods: readonly string[] = METHODS.filter(method => method !== 'CONNECT')

export default fp(async function methods (app) {
  const known = new Set(app.supportedMethods)
  // Node would just close the connection.
  if (app.server.listenerCount('connect') === 0) {
    app.server.on('connect', (_request, socket) => answerWithout(socket, new Problem('no-tunnels')))
  }
  for (const method of forwardedMethods) if (!known.has(method)) app.addHttpMethod(method, { hasBody: true })
}, { name: 'polaris-methods' })
