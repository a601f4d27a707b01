/** What a certificate authority finds on the port without TLS while it validates a name (RFC 8555, section 8.3). */
import type { FastifyInstance } from 'fastify'
import { Problem } from '../lib/http/problems.ts'
import { CHALLENGE_PATH } from '../lib/tls/acme/protocol.ts'

export default async function acmeChallenges (app: FastifyInstance) {
  const { config, tls } = app.polaris
  const authority = tls?.certificates
  if (authority === undefined || config.tlsAcmeChallenge !== 'http-01') return

  // At the root, whatever the context root is: the authority does not know of that.
  app.get<{ Params: { token: string } }>(`${CHALLENGE_PATH}:token`, async ({ params: { token } }, reply) => {
    const answer = authority.httpAnswer(token)
    if (answer === undefined) throw new Problem('not-found')
    return reply.header('content-type', 'application/octet-stream').header('cache-control', 'no-store').send(answer)
  })
  app.addHook('onListen', async () => authority.reachable())
}
