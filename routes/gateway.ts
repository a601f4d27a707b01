/**
 * The OHTTP gateway resource (RFC 9540): hands out the key configurations. Requests to it are POSTs, which the catch-all
 * takes, as on any other path.
 */
import type { FastifyInstance } from 'fastify'
import { Problem } from '../lib/problems.ts'
import { KEYS_MEDIA_TYPE } from '../lib/protocols/key-config.ts'

export const GATEWAY_PATH = '/.well-known/ohttp-gateway'

export default async function gateway (app: FastifyInstance) {
  const { config, hpke } = app.polaris
  if (!config.enableOhttp) return

  for (const root of new Set(['', config.contextRoot])) {
    app.get(root + GATEWAY_PATH, async (_request, reply) => {
      if (!hpke.isReady) throw new Problem('not-ready')
      const { octets, maxAge } = hpke.publication()
      return reply.header('content-type', KEYS_MEDIA_TYPE).header('cache-control', `public, max-age=${maxAge}`).send(Buffer.from(octets))
    })
  }
}
