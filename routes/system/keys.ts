/** All keys that clients may encrypt to, for people and tools. */
import type { FastifyInstance } from 'fastify'
import type { HpkeKeyInfo } from '../../lib/keys/hpke/ring.ts'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../../lib/protocols/ohttp/suites.ts'

export const kemNames = new Map([[KEM_X25519, 'X25519'], [KEM_MLKEM768_X25519, 'MLKEM768-X25519']])

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
          protocol: { type: 'string', enum: ['polaris', 'ohttp'] },
          keyId: { type: 'string' },
          algorithm: { type: 'string' },
          state: { type: 'string', enum: ['pending', 'active', 'retiring'] },
          notBefore: { type: 'string', format: 'date-time' },
          notAfter: { type: 'string', format: 'date-time' },
          publicKey: { type: 'string', description: 'SubjectPublicKeyInfo as PEM (polaris), or the raw key as base64url (ohttp)' }
        }
      }
    }
  }
}

export default async function keyList (app: FastifyInstance) {
  const { config, keys, hpke } = app.polaris
  app.get('/keys', { schema: { response: { 200: answer } } }, async () => ({
    keys: [
      ...config.enableOhttp ? hpke.keys().map(describe) : [],
      ...config.enableV1
        ? keys.publicKeys().map(({ keyId, algorithm, pem }, i) => ({ protocol: 'polaris', keyId, algorithm, state: i === 0 ? 'active' : 'retiring', publicKey: pem }))
        : []
    ]
  }))
}

function describe ({ keyId, kemId, state, notBefore, notAfter, publicKey }: HpkeKeyInfo) {
  return {
    protocol: 'ohttp',
    keyId: String(keyId),
    algorithm: kemNames.get(kemId),
    state,
    ...(Number.isFinite(notBefore) && { notBefore: new Date(notBefore).toISOString() }),
    ...(Number.isFinite(notAfter) && { notAfter: new Date(notAfter).toISOString() }),
    publicKey: Buffer.from(publicKey).toString('base64url')
  }
}
