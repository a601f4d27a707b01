/** What this proxy is, as it says itself. A claim: the proof is attestation evidence (docs/verify-image.md). */
import type { FastifyInstance } from 'fastify'
import { versions } from '../../lib/config/version.ts'
import { KEM_MLKEM768_X25519, KEM_X25519, kemName } from '../../lib/protocols/ohttp/suites.ts'

const text = { type: 'string' }
const answer = {
  type: 'object',
  required: ['version', 'commit', 'node', 'protocols'],
  properties: {
    version: text,
    commit: { ...text, description: 'that the image was built from; `unknown` outside of one' },
    node: text,
    protocols: { type: 'array', items: text, description: 'that clients may choose' },
    keyType: { ...text, description: 'where the RSA key of polaris-v1 lives' },
    kems: { type: 'array', items: text, description: 'of ohttp' }
  }
}

export default async function about (app: FastifyInstance) {
  const { config: { enableV1, enableOhttp, keyType, hpkePostQuantum }, exchanges } = app.polaris
  // Baked into the image, and no setting: who runs it has no say in it.
  const commit = process.env['POLARIS_COMMIT'] ?? ''
  const said = {
    version: versions.version,
    commit: /^[0-9a-f]{40,64}$/.test(commit) ? commit : 'unknown',
    node: versions.node,
    protocols: exchanges.offered,
    ...enableV1 && { keyType },
    ...enableOhttp && { kems: [...hpkePostQuantum ? [KEM_MLKEM768_X25519] : [], KEM_X25519].map(kemName) }
  }
  app.get('/about', { schema: { response: { 200: answer } } }, async () => said)
}
