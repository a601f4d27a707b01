/** All keys that clients may encrypt to, for people and tools. */
import type { FastifyInstance } from 'fastify'
import type { ListedKey } from '../../lib/exchanges/protocol.ts'
import type { ListedTlsKey } from '../../lib/tls/keys.ts'

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
          protocol: { ...text, description: 'polaris-v1, ohttp, tls, or that of a protocol that was added' },
          keyId: { ...text, description: 'of tls: SHA-256 of the SubjectPublicKeyInfo, base64' },
          algorithm: text,
          state: { type: 'string', enum: ['pending', 'active', 'retiring'] },
          notBefore: { type: 'string', format: 'date-time' },
          notAfter: { type: 'string', format: 'date-time' },
          publicKey: {
            ...text, description: 'SubjectPublicKeyInfo as PEM (polaris-v1, tls), or the raw key as base64url (ohttp)'
          }
        }
      }
    }
  }
}

export default async function keyList (app: FastifyInstance) {
  const { exchanges, tls } = app.polaris
  app.get('/keys', { schema: { response: { 200: answer } } }, async () => ({
    keys: [...exchanges.keyResources.flatMap(resource => resource.keys()), ...tls?.keys().map(listed) ?? []]
  }))
}

function listed ({ pin, ...key }: ListedTlsKey): ListedKey {
  return { protocol: 'tls', keyId: pin, ...key }
}
