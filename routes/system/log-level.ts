/** The level of the log, as the original gives it. */
import type { FastifyInstance } from 'fastify'

const answer = { type: 'object', required: ['level'], properties: { level: { type: 'string' } } }

export default async function logLevel (app: FastifyInstance) {
  const { enableLogging, logLevel: level } = app.polaris.config
  app.get(
    '/logLevel', { schema: { response: { 200: answer } } }, async () => ({ level: enableLogging ? level : 'silent' })
  )
}
