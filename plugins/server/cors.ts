/**
 * polaris.cors: CORS for browsers on other origins. Its own few lines, because @fastify/cors claims every OPTIONS
 * request with a route of its own, and here those that are no preflight belong to the workload.
 */
import fp from 'fastify-plugin'
import { provide } from '../../lib/polaris.ts'

declare module '../../lib/polaris.ts' {
  interface Polaris {
    readonly cors: Cors
  }
}

export interface Cors {
  /** With these headers a page on that origin may read an answer. */
  headers (origin: string | undefined): Record<string, string>
  /**
   * Whether one of the workload's own headers goes to a client on that origin. The operator's origins stand, if there
   * are any but `*`: which origins may read is not the workload's to say then.
   */
  allows (name: string, origin: string | undefined): boolean
}

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY'
const MAX_AGE_SECONDS = '7200'

export default fp(async function cors (app) {
  const { enableCors, corsOrigin } = app.polaris.config
  const allowed = new Set(corsOrigin.split(',').map(origin => origin.trim()))
  const anyone = allowed.has('*')
  const isAllowed = (origin: string | undefined): origin is string => enableCors && origin !== undefined &&
    (anyone || allowed.has(origin))

  provide(app.polaris, 'cors', {
    headers: origin => ({
      ...enableCors && !anyone && { vary: 'Origin' },
      // By the second, a page on another origin learns that it speaks HTTP/2 here, over which it can stream uploads.
      ...isAllowed(origin) && {
        'access-control-allow-origin': anyone ? '*' : origin,
        'timing-allow-origin': anyone ? '*' : origin,
        'access-control-expose-headers': '*'
      }
    }),
    allows (name, origin) {
      if (!enableCors || anyone) return true
      if (name === 'access-control-allow-origin' || name === 'timing-allow-origin') return false
      return isAllowed(origin) || !name.startsWith('access-control-')
    }
  })
  if (!enableCors) return

  app.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers
    reply.headers(app.polaris.cors.headers(origin))
    const wanted = request.headers['access-control-request-method']
    if (request.method !== 'OPTIONS' || wanted === undefined || !isAllowed(origin)) return done()

    const headers = request.headers['access-control-request-headers']
    reply.removeHeader('access-control-expose-headers')
    reply.header('access-control-allow-methods', METHODS).header('access-control-max-age', MAX_AGE_SECONDS)
    if (headers !== undefined) reply.header('access-control-allow-headers', headers)
    // Private Network Access: a page on a public origin that calls a proxy on a private address asks first.
    if (request.headers['access-control-request-private-network'] === 'true') {
      reply.header('access-control-allow-private-network', 'true')
    }
    reply.code(204).send()
  })
}, { name: 'polaris-cors', dependencies: ['polaris-config'] })
