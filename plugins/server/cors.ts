/**
 * CORS for browsers on other origins. Its own few lines, because @fastify/cors claims every OPTIONS request with a route
 * of its own, and here those that are no preflight belong to the workload.
 */
import fp from 'fastify-plugin'

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY'
const MAX_AGE_SECONDS = '7200'

export default fp(async function cors (app) {
  const { enableCors, corsOrigin } = app.polaris.config
  if (!enableCors) return
  const allowed = new Set(corsOrigin.split(',').map(origin => origin.trim()))
  const anyone = allowed.has('*')

  app.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers
    if (!anyone) reply.header('vary', 'Origin')
    if (origin === undefined || !(anyone || allowed.has(origin))) return done()

    // By the second, a page on another origin learns that it speaks HTTP/2 here, over which it can stream uploads.
    reply.header('access-control-allow-origin', anyone ? '*' : origin).header('timing-allow-origin', anyone ? '*' : origin)
    const wanted = request.headers['access-control-request-method']
    if (request.method !== 'OPTIONS' || wanted === undefined) {
      reply.header('access-control-expose-headers', '*')
      return done()
    }
    const headers = request.headers['access-control-request-headers']
    reply.header('access-control-allow-methods', METHODS).header('access-control-max-age', MAX_AGE_SECONDS)
    if (headers !== undefined) reply.header('access-control-allow-headers', headers)
    // Private Network Access: a page on a public origin that calls a proxy on a private address asks first.
    if (request.headers['access-control-request-private-network'] === 'true') reply.header('access-control-allow-private-network', 'true')
    reply.code(204).send()
  })
}, { name: 'polaris-cors', dependencies: ['polaris-config'] })
