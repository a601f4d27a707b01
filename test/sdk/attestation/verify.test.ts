// What holds for every platform: nonce, keys, binding, and that simulated evidence is for development alone.
import { createHmac } from 'node:crypto'
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import t from 'tap'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { attestationDocument, bindingPreimage, sha256 } from '../../../lib/protocols/attestation.ts'
import type { AttestationDocument, AttestedKey } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { AttestationError, verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy, VerifyOptions } from '../../../sdk/attestation/index.ts'
import { failed } from '../../fixtures/verdict.ts'

const attester = await simulated()
const nonce = new Uint8Array(16).fill(3)
const keys: AttestedKey[] = [
  { kind: 'polaris-v1-spki', value: Uint8Array.of(1) }, { kind: 'ohttp-keys', value: Uint8Array.of(2) }
]
const preimage = await bindingPreimage(nonce, keys)
const binding = await sha256(preimage)
const evidence = await attester.evidence({ preimage, binding })
const document = await attestationDocument({ ...evidence, nonce, cached: false, keys, issuedAt: new Date() })
const policy: AttestationPolicy = {
  version: 1, development: true, platforms: { simulated: { roots: [attester.root] } }
}

const verdictOf = (change: Partial<AttestationDocument> = {}, options: VerifyOptions = {}, by = policy) =>
  verifyAttestation(JSON.stringify({ ...document, ...change }), by, { nonce, ...options })

t.test('simulated evidence verifies under a development policy that pins its root', async t => {
  const verdict = await verdictOf()
  t.same(failed(verdict), [])
  t.ok(verdict.verified)
  t.same(verdict.presented, { simulated: { roots: [attester.root] } })
})

const [first, second] = document.keys
const swapped = {
  ...second!, value: encodeBase64url(Uint8Array.of(9)), sha256: encodeBase64url(await sha256(Uint8Array.of(9)))
}
/** What somebody in the middle would send: consistent in itself, about a key of its own. */
const forged = await attestationDocument({
  ...evidence, nonce, cached: false, keys: [{ kind: 'polaris-v1-spki', value: Uint8Array.of(9) }], issuedAt: new Date()
})

/** Another root. */
const { publicKey, privateKey } = await generateKeyPair('ES256')
const jwk = await exportJWK(publicKey)
const seconds = Math.floor(Date.now() / 1000)
const claimed = { eat_nonce: encodeBase64url(binding), iat: seconds, exp: seconds + 60 }
const trusting: AttestationPolicy = {
  version: 1, development: true, platforms: { simulated: { roots: [await calculateJwkThumbprint(jwk)] } }
}

/** Simulated evidence with other contents, by that root. */
async function otherToken (
  claims: Record<string, unknown>, header: Record<string, unknown> = {}
): Promise<Partial<AttestationDocument>> {
  return tokenOf(
    await new SignJWT({ ...claimed, ...claims }).setProtectedHeader({ alg: 'ES256', jwk, ...header }).sign(privateKey)
  )
}

function tokenOf (token: string): Partial<AttestationDocument> {
  return { evidence: [['application/vnd.polaris.simulated-evidence+jwt', token]] }
}

/** HS256 with the root's public key as the secret, or no signature at all. */
function unsigned (alg: 'HS256' | 'none'): Partial<AttestationDocument> {
  const signed = [{ alg, jwk }, claimed].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return tokenOf(
    `${signed}.${alg === 'none' ? '' : createHmac('sha256', JSON.stringify(jwk)).update(signed).digest('base64url')}`
  )
}

const cases: Array<[
  name: string, check: string[], change: Partial<AttestationDocument>, options?: VerifyOptions,
  policy?: AttestationPolicy
]> = [
  ['another nonce', ['nonce'], {}, { nonce: new Uint8Array(16) }],
  ['a nonce that ends early', ['nonce'], {}, { nonce: nonce.subarray(0, 15) }],
  ['a key with the hash of another', ['keys'], { keys: [{ ...first!, sha256: second!.sha256 }, second!] }],
  ['a swapped key', ['binding', 'bound'], { keys: [first!, swapped] }],
  ['a swapped key with a binding of its own', ['bound'], forged],
  ['keys in another order', ['binding', 'bound'], { keys: [second!, first!] }],
  [
    'a pre-image that is not the one of nonce and keys', ['binding'],
    { binding: { ...document.binding, preimage: 'AAAA' } }
  ],
  [
    'a binding that is not the hash of its pre-image', ['binding'],
    { binding: { ...document.binding, sha256: first!.sha256 } }
  ],
  ['another root', ['root'], await otherToken({})],
  [
    'a signature by another key than the one in the header', ['signature'],
    await otherToken({}, { jwk: { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) } })
  ],
  ['alg none', ['signature'], unsigned('none'), {}, trusting],
  ['the public key taken for a shared secret', ['signature'], unsigned('HS256'), {}, trusting],
  [
    'a key that is not one of P-256', ['signature'], await otherToken({}, { jwk: { kty: 'oct', k: 'AAAA' } }), {},
    trusting
  ],
  ['a token that has just expired', ['validity'], await otherToken({ exp: seconds - 61 }), {}, trusting],
  ['a token that is not yet valid', ['validity'], await otherToken({ nbf: seconds + 600 }), {}, trusting],
  ['a token from the future', ['freshness'], await otherToken({ iat: seconds + 600, nbf: seconds }), {}, trusting],
  [
    'a token for another binding', ['bound'], await otherToken({ eat_nonce: encodeBase64url(new Uint8Array(32)) }), {},
    trusting
  ],
  ['no trusted execution environment', ['platform'], { tee: 'none', evidence: [] }],
  ['evidence of another kind than the document says', ['evidence'], { evidence: [['application/eat+jwt', 'x']] }],
  [
    'simulated evidence under a production policy', ['platform'], {}, {},
    { version: 1, platforms: { 'sev-snp': { measurements: ['aa'.repeat(48)] } } }
  ],
  [
    'simulated evidence under an insecure policy for all platforms', ['platform'], {}, {},
    {
      version: 1,
      insecure: true,
      platforms: {
        'google-confidential-space': { audience: 'a' },
        'azure-maa': { issuers: ['https://a.example'] },
        'sev-snp': {},
        tdx: {}
      }
    }
  ],
  [
    'simulated evidence that calls itself genuine', ['evidence'], { tee: 'google-confidential-space' }, {},
    { version: 1, insecure: true, platforms: { 'google-confidential-space': { audience: 'a' } } }
  ],
  ['an expired token', ['validity', 'freshness'], {}, { now: new Date(Date.now() + 2 * 3_600_000) }],
  ['an old token', ['freshness'], {}, { now: new Date(Date.now() + 600_000) }]
]
for (const [name, expected, change, options, by] of cases) {
  t.test(`${name}: ${expected.join(' and ')}`, async t => {
    const verdict = await verdictOf(change, options, by)
    t.same(failed(verdict), expected)
    t.notOk(verdict.verified)
  })
}

t.test('a document without keys proves nothing', async t => {
  const empty = await bindingPreimage(nonce, [])
  const own = await attester.evidence({ preimage: empty, binding: await sha256(empty) })
  const verdict = await verifyAttestation(
    JSON.stringify(await attestationDocument({ ...own, nonce, cached: false, keys: [], issuedAt: new Date() })), policy,
    { nonce }
  )
  t.same(failed(verdict), ['keys'])
})

t.test('what is no document and what is no policy is an error, not a verdict', async t => {
  await t.rejects(verifyAttestation('{}', policy), { code: 'ERR_ATTESTATION_DOCUMENT' })
  await t.rejects(
    verifyAttestation(JSON.stringify(document), { version: 1, platforms: { tdx: {} } }),
    { code: 'ERR_ATTESTATION_POLICY' }
  )
})

t.test('the error for refused evidence names the checks that failed', async t => {
  const error = new AttestationError(await verdictOf({}, { nonce: new Uint8Array(16) }))
  t.match(error, { code: 'ERR_ATTESTATION', message: /^Attestation failed: nonce \(/ })
})
