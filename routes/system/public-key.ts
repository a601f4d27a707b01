/** The RSA public key that v1 clients encrypt to, as the original gives it. */
import type { FastifyInstance } from 'fastify'
import { Problem } from '../../lib/http/problems.ts'

const answer = { type: 'object', required: ['publicKey'], properties: { publicKey: { type: 'string' } } }

export default async function publicKey (app: FastifyInstance) {
  const { keys } = app.polaris
  app.get('/publicKey', { schema: { response: { 200: answer } } }, async () => {
    const [newest] = keys.publicKeys()
    if (newest === undefined) throw new Problem('not-ready')
    return { publicKey: newest.pem }
  })
}
