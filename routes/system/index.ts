/** The proxy's own endpoints, below /polaris-container. Nothing below it is ever forwarded. */
import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'
import { SYSTEM_PREFIX, isSystemTarget } from '../../lib/http/target.ts'
import { Problem } from '../../lib/http/problems.ts'
import { forwardedMethods } from '../../plugins/server/http-semantics.ts'
import { serveKeyResource } from '../key-resources.ts'
import about from './about.ts'
import attestation from './attestation.ts'
import health from './health.ts'
import keys from './keys.ts'
import logLevel from './log-level.ts'
import verifyPage from './verify-page.ts'

export default async function system (app: FastifyInstance) {
  const { contextRoot } = app.polaris.config
  // Below the context root for clients that come through its load balancer, at the root for others, such as probes.
  for (const root of new Set(['', contextRoot])) {
    await app.register(endpoints, { prefix: root + SYSTEM_PREFIX })
  }
}

async function endpoints (app: FastifyInstance) {
  await app.register(helmet)
  app.addHook('onRequest', async (_request, reply) => { reply.header('cache-control', 'no-store') })

  app.register(health)
  app.register(keys)
  app.register(logLevel)
  app.register(attestation)
  app.register(about)
  app.register(verifyPage)

  for (const resource of app.polaris.exchanges.keyResources) {
    if (isSystemTarget(resource.path)) serveKeyResource(app, resource, resource.path.slice(SYSTEM_PREFIX.length))
  }

  // Before a body is looked at, whatever its type.
  const refuse = async () => { throw new Problem('not-found') }
  for (const url of ['/', '/*']) {
    app.route({ method: [...forwardedMethods], url, exposeHeadRoute: false, onRequest: refuse, handler: refuse })
  }
}
