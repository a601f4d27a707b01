/** Hands out the keys that clients encrypt to: what the protocols publish, at the paths that they name. */
import type { FastifyInstance } from 'fastify'
import type { KeyResource } from '../lib/exchanges/protocol.ts'
import { isSystemTarget } from '../lib/http/target.ts'
import { Problem } from '../lib/http/problems.ts'

/**
 * All but those among the proxy's own endpoints, which routes/system serves: below the context root, and at the root.
 */
export default async function keyResources (app: FastifyInstance) {
  const { config: { contextRoot }, exchanges } = app.polaris
  const refuse = async () => { throw new Problem('not-found') }

  // For clients that come through the load balancer of the context root, and for those that do not.
  for (const root of new Set(['', contextRoot])) {
    for (const resource of exchanges.keyResources) {
      if (!isSystemTarget(resource.path)) serveKeyResource(app, resource, root + resource.path)
    }
    // Refused by the proxy itself, since the workload may answer any path with a page.
    for (const path of exchanges.withheld) {
      app.route({ method: ['GET', 'POST'], url: root + path, onRequest: refuse, handler: refuse })
    }
  }
}

export function serveKeyResource (app: FastifyInstance, { mediaType, publication }: KeyResource, url: string): void {
  app.get(url, async (_request, reply) => {
    const { bytes, maxAge } = publication()
    return reply
      .header('content-type', mediaType)
      .header('cache-control', maxAge === undefined ? 'no-store' : `public, max-age=${maxAge}`)
      .send(Buffer.from(bytes))
  })
}
