/**
 * The OHTTP gateway resource (RFC 9540): hands out the key configurations. Requests to it are POSTs, which the proxy
 * route takes, as on any other path.
 */
import type { FastifyInstance } from 'fastify'
import type { Config } from '../lib/config/config.ts'
import { Problem } from '../lib/http/problems.ts'
import { KEYS_MEDIA_TYPE } from '../lib/protocols/ohttp/key-config.ts'

const GATEWAY_PATH = '/.well-known/ohttp-gateway'

/** Below the context root, and at the root for those who do not come through its load balancer. */
export function gatewayPaths ({ contextRoot }: Config): Iterable<string> {
  return new Set(['', contextRoot].map(root => root + GATEWAY_PATH))
}

export default async function gateway (app: FastifyInstance) {
  const { config, hpke } = app.polaris

  for (const path of gatewayPaths(config)) {
    // Said by the proxy itself, since the workload may answer any path with a page.
    if (!config.enableOhttp) {
      app.route({ method: ['GET', 'POST'], url: path, onRequest: async () => { throw new Problem('not-found') }, handler: () => undefined })
      continue
    }
    app.get(path, async (_request, reply) => {
      if (!hpke.isReady) throw new Problem('not-ready')
      const { octets, maxAge } = hpke.publication()
      return reply.header('content-type', KEYS_MEDIA_TYPE).header('cache-control', `public, max-age=${maxAge}`).send(Buffer.from(octets))
    })
  }
}
