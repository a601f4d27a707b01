/**
 * Evidence about the keys and the platform (docs/attestation-document.md): for a client's nonce, or from the cache
 * without one. Each answer to a nonce costs the platform a report, so that both are limited.
 */
import rateLimit from '@fastify/rate-limit'
import type { FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { trustedProxies } from '../../lib/http/trusted-proxies.ts'
import { clientBehind } from '../../lib/http/caller.ts'
import { AttestationUnavailableError } from '../../lib/attestation/service.ts'
import { Problem } from '../../lib/http/problems.ts'
import type { MinuteCounts } from '../../lib/limits/minute-counts.ts'
import { MAX_NONCE_BYTES, MIN_NONCE_BYTES, TEE_KINDS } from '../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../lib/protocols/base64url.ts'

const text = { type: 'string' }
const pairs = { type: 'array', items: { type: 'array', items: text, minItems: 2, maxItems: 2 } }
const answer = {
  type: 'object',
  required: [
    'profile', 'tee', 'nonce', 'cached', 'keys', 'claims', 'binding', 'evidence', 'devices', 'endorsements', 'issuedAt'
  ],
  properties: {
    profile: text,
    tee: { type: 'string', enum: TEE_KINDS },
    nonce: text,
    cached: { type: 'boolean' },
    keys: {
      type: 'array',
      items: {
        type: 'object', required: ['kind', 'value', 'sha256'], properties: { kind: text, value: text, sha256: text }
      }
    },
    claims: pairs,
    binding: { type: 'object', required: ['preimage', 'sha256'], properties: { preimage: text, sha256: text } },
    evidence: pairs,
    devices: pairs,
    endorsements: pairs,
    issuedAt: { type: 'string', format: 'date-time' },
    expiresAt: { type: 'string', format: 'date-time' }
  }
}
const request = { type: 'object', properties: { nonce: text } }
/** A nonce and what JSON puts around it. */
const BODY_LIMIT = 1024

interface Asked {
  nonce?: string
}

export default async function attestation (app: FastifyInstance) {
  const { attestation, config, counts: { evidence } } = app.polaris
  const isTrusted = trustedProxies(config.trustProxy)
  await app.register(rateLimit, {
    max: config.attestationRateLimit,
    timeWindow: 60_000,
    store: storeOf(evidence),
    keyGenerator: ({ raw }) => clientBehind(raw, isTrusted)
  })

  app.get<{ Querystring: Asked }>('/attestation', { schema: { querystring: request, response: { 200: answer } } },
    ({ query }) => answerTo(query.nonce))
  app.post<{ Body: Asked }>('/attestation', {
    bodyLimit: BODY_LIMIT, schema: { body: request, response: { 200: answer } }
  }, ({ body }) => answerTo(body.nonce))

  async function answerTo (nonce: string | undefined) {
    try {
      return await attestation.document(nonce === undefined ? undefined : parseNonce(nonce))
    } catch (error) {
      if (!(error instanceof AttestationUnavailableError)) throw error
      throw new Problem('attestation-unavailable', { cause: error, retryAfter: error.retryAfter })
    }
  }
}

/** What @fastify/rate-limit counts with: as all workers do together. */
function storeOf (counts: MinuteCounts): FastifyRateLimitStoreCtor {
  return class CountStore {
    incr (client: string, done: (error: Error | null, result?: { current: number, ttl: number }) => void) {
      Promise.resolve(counts.add(client, 1)).then(({ count, left }) => done(null, { current: count, ttl: left }), done)
    }

    child () { return this }
  }
}

function parseNonce (text: string): Uint8Array {
  const nonce = decodeBase64url(text)
  if (!nonce || nonce.length < MIN_NONCE_BYTES || nonce.length > MAX_NONCE_BYTES) throw new Problem('bad-nonce')
  return nonce
}
