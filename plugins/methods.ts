/** Every method that Node's parser knows is forwarded, so every one is made known to Fastify. CONNECT asks for a tunnel. */
import { METHODS } from 'node:http'
import fp from 'fastify-plugin'

export const forwardedMethods: readonly string[] = METHODS.filter(method => method !== 'CONNECT')

export default fp(async function methods (app) {
  const known = new Set(app.supportedMethods)
  for (const method of forwardedMethods) if (!known.has(method)) app.addHttpMethod(method, { hasBody: true })
}, { name: 'polaris-methods' })
