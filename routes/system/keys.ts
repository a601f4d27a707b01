/** All keys that clients may encrypt to, for people and tools. */
import type { FastifyInstance } from 'fastify'

const text = { type: 'string' }
const answer = {
  type: 'object',
  required: ['keys'],
  properties: {
    keys: {
      type: 'array',
      items: {
        type: 'object',
        required: ['protocol', 'keyId', 'algorithm', 'state', 'publicKey'],
        properties: {
          protocol: { ...text, description: 'polaris-v1, ohttp, or that of a protocol that was added' },
          keyId: text,
          algorithm: text,
          state: { type: 'string', enum: ['pending', 'active', 'retiring'] },
          notBefore: { type: 'string', format: 'date-time' },
          notAfter: { type: 'string', format: 'date-time' },
          publicKey: {
            ...text, description: 'SubjectPublicKeyInfo as PEM (polaris-v1), or the raw key as base64url (ohttp)'
          }
        }
      }
    }
  }
}

export default async function keyList (app: FastifyInstance) {
  const { exchanges } = app.polaris
  app.get('/keys', { schema: { response: { 200: answer } } }, async () => ({
    keys: exchanges.keyResources.flatMap(resource => resource.keys())
  }))
}
