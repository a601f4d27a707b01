/** Health endpoints: the original's, and one each for the three questions that orchestrators ask. */
import type { FastifyInstance } from 'fastify'

const ok = { type: 'object', required: ['status'], properties: { status: { type: 'string', enum: ['ok'] } } }
const notReady = {
  type: 'object',
  required: ['status', 'reasons'],
  properties: { status: { type: 'string', enum: ['not ready'] }, reasons: { type: 'array', items: { type: 'string' } } }
}

export default async function health (app: FastifyInstance) {
  const { readiness } = app.polaris
  const alive = () => ({ status: 'ok' })

  // The event loop turns. Says nothing about keys, so that a slow key release is no reason to restart.
  app.get('/health', { schema: { response: { 200: ok } } }, alive)
  app.get('/livez', { schema: { response: { 200: ok } } }, alive)

  // Requests may be sent here.
  app.get('/readyz', { schema: { response: { 200: ok, 503: notReady } } }, async (_request, reply) => {
    const reasons = await readiness.reasons()
    return reasons.length === 0 ? { status: 'ok' } : reply.code(503).send({ status: 'not ready', reasons })
  })

  // Was ready once; from then on only liveness counts.
  let started = false
  app.get('/startupz', { schema: { response: { 200: ok, 503: notReady } } }, async (_request, reply) => {
    const reasons = started ? [] : await readiness.reasons()
    started ||= reasons.length === 0
    return started ? { status: 'ok' } : reply.code(503).send({ status: 'not ready', reasons })
  })
}
