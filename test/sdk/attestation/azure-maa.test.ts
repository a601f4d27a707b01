// Appraisal of Azure Attestation tokens: for each check a token in which only that check fails.
import { createHmac } from 'node:crypto'
import t from 'tap'
import { attestationDocument, bindingDigest, maaRuntimeData } from '../../../lib/protocols/attestation.ts'
import type { AttestedKey } from '../../../lib/protocols/attestation.ts'
import { verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy, AzureMaaPolicy, VerifyOptions } from '../../../sdk/attestation/index.ts'
import { issuerKey, tableFetch } from '../../fixtures/issuer.ts'
import { failed, outcomeOf } from '../../fixtures/verdict.ts'

const ISSUER = 'https://sharedneu.neu.attest.azure.net'
const CERTS = `${ISSUER}/certs`

const key = await issuerKey('one')
const stranger = await issuerKey('one')
const now = new Date('2026-06-01T00:00:00Z')
const seconds = now.getTime() / 1000
const nonce = new Uint8Array(32).fill(9)
const keys = [{ kind: 'ohttp-keys' as const, value: Uint8Array.of(1, 2, 3) }]
const binding = await bindingDigest(nonce, keys)

const pins: AzureMaaPolicy = {
  issuers: ['https://sharedweu.weu.attest.azure.net', ISSUER],
  hostData: ['cc'.repeat(32)],
  measurements: ['dd'.repeat(48)],
  minimumGuestSvn: 100
}

function genuine (): Record<string, unknown> {
  return {
    iss: ISSUER,
    iat: seconds,
    nbf: seconds,
    exp: seconds + 8 * 3600,
    'x-ms-attestation-type': 'sevsnpvm',
    'x-ms-compliance-status': 'azure-compliant-uvm',
    'x-ms-sevsnpvm-hostdata': 'cc'.repeat(32),
    'x-ms-sevsnpvm-launchmeasurement': 'dd'.repeat(48),
    'x-ms-sevsnpvm-guestsvn': 100,
    'x-ms-sevsnpvm-is-debuggable': false,
    'x-ms-sevsnpvm-migration-allowed': false,
    'x-ms-sevsnpvm-vmpl': 0,
    'x-ms-runtime': JSON.parse(maaRuntimeData(binding))
  }
}

interface Scene {
  keys?: AttestedKey[]
  claims?: Record<string, unknown>
  token?: () => Promise<string>
  policy?: Partial<AzureMaaPolicy>
  options?: VerifyOptions
  keySet?: unknown
}

async function appraise (scene: Scene) {
  const document = await attestationDocument({
    tee: 'azure-maa',
    nonce,
    cached: false,
    keys: scene.keys ?? keys,
    evidence: [[
      'application/jwt',
      await (scene.token?.() ?? key.sign({ ...genuine(), ...scene.claims }, { jku: 'https://attacker.example/certs' }))
    ]],
    endorsements: [],
    issuedAt: now
  })
  const { fetch, asked } = tableFetch({ [CERTS]: scene.keySet ?? { keys: [key.certificateJwk] } })
  const policy: AttestationPolicy = { version: 1, platforms: { 'azure-maa': { ...pins, ...scene.policy } } }
  return {
    verdict: await verifyAttestation(JSON.stringify(document), policy, { nonce, now, fetch, ...scene.options }), asked
  }
}

t.test('a token that fits is verified with the certificate at the pinned issuer, wherever its jku points', async t => {
  const { verdict, asked } = await appraise({})
  t.same(failed(verdict), [])
  t.ok(verdict.verified)
  t.same(asked, [CERTS])
  t.match(verdict.presented, { 'azure-maa': { issuers: [ISSUER], hostData: ['cc'.repeat(32)], minimumGuestSvn: 100 } })
})

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

/** HS256 with the certificate that the issuer publishes as the secret. */
async function confused (): Promise<string> {
  const signed = `${encode({ alg: 'HS256', kid: 'one' })}.${encode(genuine())}`
  const [certificate] = key.certificateJwk['x5c'] as [string]
  return `${signed}.${createHmac('sha256', certificate).update(signed).digest('base64url')}`
}

const cases: Array<[name: string, check: string, scene: Scene]> = [
  ['another nonce', 'nonce', { options: { nonce: new Uint8Array(32) } }],
  ['a swapped key', 'bound', { keys: [{ kind: 'ohttp-keys', value: Uint8Array.of(9) }] }],
  ['a token about other keys', 'bound', { claims: { 'x-ms-runtime': JSON.parse(maaRuntimeData(new Uint8Array(32))) } }],
  ['a token without runtime data', 'bound', { claims: { 'x-ms-runtime': undefined } }],
  [
    'another issuer', 'issuer',
    { claims: { iss: 'https://sharedneu.neu.attest.azure.net.example' }, policy: { issuers: [ISSUER] } }
  ],
  ['an expired token', 'validity', { claims: { exp: seconds - 61 } }],
  ['a token that is not yet valid', 'validity', { claims: { nbf: seconds + 61 } }],
  ['a token without expiry', 'validity', { claims: { exp: undefined } }],
  ['an old token', 'freshness', { claims: { iat: seconds - 361 } }],
  ['a token from the future', 'freshness', { claims: { iat: seconds + 61 } }],
  ['another attestation type', 'attestation-type', { claims: { 'x-ms-attestation-type': 'azurevm' } }],
  ['another compliance', 'compliance', { claims: { 'x-ms-compliance-status': 'azure-signed-uvm' } }],
  ['debugging on', 'debug', { claims: { 'x-ms-sevsnpvm-is-debuggable': true } }],
  ['debugging unsaid', 'debug', { claims: { 'x-ms-sevsnpvm-is-debuggable': undefined } }],
  ['a migration agent unsaid', 'migration', { claims: { 'x-ms-sevsnpvm-migration-allowed': undefined } }],
  [
    'a migration agent forbidden in other words', 'migration',
    { claims: { 'x-ms-sevsnpvm-migration-allowed': 'false' } }
  ],
  ['a migration agent allowed', 'migration', { claims: { 'x-ms-sevsnpvm-migration-allowed': true } }],
  ['another privilege level', 'vmpl', { claims: { 'x-ms-sevsnpvm-vmpl': 2 } }],
  ['other containers', 'host-data', { claims: { 'x-ms-sevsnpvm-hostdata': '00'.repeat(32) } }],
  ['another utility VM', 'measurement', { claims: { 'x-ms-sevsnpvm-launchmeasurement': '00'.repeat(48) } }],
  ['an old utility VM', 'guest-svn', { claims: { 'x-ms-sevsnpvm-guestsvn': 99 } }],
  ['a security version as text', 'guest-svn', { claims: { 'x-ms-sevsnpvm-guestsvn': '100' } }],
  ['a stranger\'s key', 'signature', { token: () => stranger.sign(genuine()) }],
  [
    'jku that points elsewhere', 'signature',
    { token: () => stranger.sign(genuine(), { jku: 'https://attacker.example/certs' }) }
  ],
  [
    'x5c in the header', 'signature',
    { token: () => stranger.sign(genuine(), { x5c: stranger.certificateJwk['x5c'] as string[] }) }
  ],
  ['an unknown key identifier', 'signature', { token: () => key.sign(genuine(), { kid: 'two' }) }],
  ['alg none', 'signature', { token: async () => `${encode({ alg: 'none', kid: 'one' })}.${encode(genuine())}.` }],
  ['the certificate taken for a shared secret', 'signature', { token: confused }],
  ['a changed token', 'signature', { token: async () => (await key.sign(genuine())).replace(/.{4}$/, 'AAAA') }],
  ['a key that is not RSA', 'signature', { keySet: { keys: [{ kid: 'one', kty: 'oct', k: 'AAAA' }] } }],
  [
    'a key identifier that the key set holds twice', 'signature',
    { keySet: { keys: [key.certificateJwk, stranger.certificateJwk] } }
  ],
  ['a key without certificate', 'signature', { keySet: { keys: [{ kid: 'one', kty: 'RSA', x5c: [] }] } }],
  ['a malformed certificate', 'signature', { keySet: { keys: [{ kid: 'one', kty: 'RSA', x5c: ['AAAA'] }] } }],
  ['a malformed key set', 'signature', { keySet: { keys: 'x' } }],
  ['no token', 'evidence', { token: async () => '' }]
]
for (const [name, check, scene] of cases) {
  t.test(`${name}: ${check} fails alone`, async t => {
    const { verdict, asked } = await appraise(scene)
    t.same(failed(verdict), [check])
    t.notOk(verdict.verified)
    t.ok(asked.every(url => url === CERTS), 'nobody but the pinned issuer is asked')
  })
}

t.test('an issuer that no policy names is not asked, though it signed its own token', async t => {
  const { verdict, asked } = await appraise(
    { token: () => stranger.sign({ ...genuine(), iss: 'https://attacker.example' }), policy: { issuers: [ISSUER] } }
  )
  t.same(failed(verdict), ['issuer'])
  t.same(asked, [], 'nor is anybody else')
})

t.test('what the policy leaves open is said', async t => {
  const { measurements, minimumGuestSvn, ...open } = pins
  t.ok(measurements && minimumGuestSvn)
  const document = await attestationDocument({
    tee: 'azure-maa',
    nonce,
    cached: false,
    keys,
    evidence: [['application/jwt', await key.sign(genuine())]],
    endorsements: [],
    issuedAt: now
  })
  const verdict = await verifyAttestation(JSON.stringify(document), { version: 1, platforms: { 'azure-maa': open } },
    { nonce, now, keySets: { [ISSUER]: { keys: [key.jwk] } } })
  t.ok(verdict.verified)
  t.equal(outcomeOf(verdict, 'measurement'), 'skipped')
  t.equal(outcomeOf(verdict, 'guest-svn'), 'skipped')
})
