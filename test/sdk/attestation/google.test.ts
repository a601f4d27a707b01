// Appraisal of Confidential Space tokens: for each check a token in which only that check fails.
import { createHmac } from 'node:crypto'
import t from 'tap'
import { attestationDocument, bindingDigest } from '../../../lib/protocols/attestation.ts'
import type { AttestedKey, TypedValue } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy, GooglePolicy, VerifyOptions } from '../../../sdk/attestation/index.ts'
import { issuerKey, tableFetch } from '../../fixtures/issuer.ts'
import { failed, outcomeOf } from '../../fixtures/verdict.ts'

const ISSUER = 'https://confidentialcomputing.googleapis.com'
const DISCOVERY = `${ISSUER}/.well-known/openid-configuration`
const KEYS =
  'https://www.googleapis.com/service_accounts/v1/metadata/jwk/signer@confidentialspace-sign.iam.gserviceaccount.com'
const IMAGE = `sha256:${'ab'.repeat(32)}`

const key = await issuerKey('one')
const stranger = await issuerKey('one')
const now = new Date('2026-06-01T00:00:00Z')
const seconds = now.getTime() / 1000
const nonce = new Uint8Array(32).fill(9)
const keys = [{ kind: 'polaris-v1-spki' as const, value: Uint8Array.of(1, 2, 3) }]
const binding = encodeBase64url(await bindingDigest(nonce, keys))

const pins: GooglePolicy = {
  audience: 'polaris',
  imageDigests: [`sha256:${'00'.repeat(32)}`, IMAGE],
  projectIds: ['our-project'],
  serviceAccounts: ['proxy@our-project.iam.gserviceaccount.com'],
  hardwareModels: ['GCP_AMD_SEV', 'GCP_INTEL_TDX'],
  environment: { POLARIS_CONTAINER_WORKLOAD_BASE_URL: ['http://localhost:3000'] }
}

/** The claims of a token that fits. */
function genuine (): Record<string, unknown> {
  return {
    iss: ISSUER,
    aud: 'polaris',
    iat: seconds - 10,
    nbf: seconds - 10,
    exp: seconds + 3590,
    eat_nonce: binding,
    secboot: true,
    hwmodel: 'GCP_AMD_SEV',
    swname: 'CONFIDENTIAL_SPACE',
    dbgstat: 'disabled-since-boot',
    google_service_accounts: ['proxy@our-project.iam.gserviceaccount.com'],
    submods: {
      confidential_space: { support_attributes: ['LATEST', 'STABLE', 'USABLE'] },
      container: {
        image_digest: IMAGE, env_override: { POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://localhost:3000' }
      },
      gce: { project_id: 'our-project' }
    }
  }
}

interface Scene {
  keys?: AttestedKey[]
  claims?: Record<string, unknown>
  container?: Record<string, unknown>
  token?: string | (() => Promise<string>)
  evidence?: TypedValue[]
  policy?: Partial<GooglePolicy>
  more?: Partial<AttestationPolicy>
  options?: VerifyOptions
  keySet?: unknown
}

async function appraise (scene: Scene) {
  const { submods, ...rest } = genuine() as { submods: Record<string, Record<string, unknown>> }
  const claims = {
    ...rest, submods: { ...submods, container: { ...submods['container'], ...scene.container } }, ...scene.claims
  }
  const token = typeof scene.token === 'function' ? await scene.token() : scene.token ?? await key.sign(claims)
  const document = await attestationDocument({
    tee: 'google-confidential-space',
    nonce,
    cached: false,
    keys: scene.keys ?? keys,
    evidence: scene.evidence ?? [['application/eat+jwt', token]],
    endorsements: [],
    issuedAt: now
  })
  const { fetch, asked } = tableFetch(
    { [DISCOVERY]: { jwks_uri: KEYS }, [KEYS]: scene.keySet ?? { keys: [{ kid: 'zero', kty: 'RSA' }, key.jwk] } }
  )
  const policy: AttestationPolicy = {
    version: 1, platforms: { 'google-confidential-space': { ...pins, ...scene.policy } }, ...scene.more
  }
  return {
    verdict: await verifyAttestation(JSON.stringify(document), policy, { nonce, now, fetch, ...scene.options }), asked
  }
}

t.test('a token that fits the policy is verified with the keys that the issuer\'s discovery names', async t => {
  const { verdict, asked } = await appraise({})
  t.same(failed(verdict), [])
  t.ok(verdict.verified)
  // The document has no claims.
  t.same(verdict.checks.filter(({ outcome }) => outcome !== 'passed').map(({ name }) => name), ['weakenings'])
  t.same(asked, [DISCOVERY, KEYS])
})

t.test('the policy made of what was presented accepts it again', async t => {
  const { verdict } = await appraise({ container: { cmd_override: ['--x'] }, policy: { command: ['--x'] } })
  t.same(verdict.presented['google-confidential-space'], {
    audience: 'polaris',
    imageDigests: [IMAGE],
    projectIds: ['our-project'],
    serviceAccounts: ['proxy@our-project.iam.gserviceaccount.com'],
    hardwareModels: ['GCP_AMD_SEV'],
    environment: { POLARIS_CONTAINER_WORKLOAD_BASE_URL: ['http://localhost:3000'] },
    command: ['--x']
  })
  t.ok((await appraise(
    { container: { cmd_override: ['--x'] }, policy: verdict.presented['google-confidential-space']! }
  )).verdict.verified)
})

const none = [
  Buffer.from('{"alg":"none","kid":"one"}').toString('base64url'),
  Buffer.from(JSON.stringify(genuine())).toString('base64url'), ''
].join('.')

/** HS256 with the issuer's public modulus as the secret. */
async function confused (): Promise<string> {
  const signed = [{ alg: 'HS256', kid: 'one' }, genuine()].map(
    part => Buffer.from(JSON.stringify(part)).toString('base64url')
  ).join('.')
  return `${signed}.${createHmac('sha256', String(key.jwk['n'])).update(signed).digest('base64url')}`
}

const debugSpace = {
  confidential_space: {},
  container: { image_digest: IMAGE, env_override: { POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://localhost:3000' } },
  gce: { project_id: 'our-project' }
}

const cases: Array<[name: string, check: string, scene: Scene]> = [
  ['another nonce', 'nonce', { options: { nonce: new Uint8Array(32) } }],
  ['no nonce', 'nonce', { options: { nonce: undefined as never } }],
  ['a swapped key', 'bound', { keys: [{ kind: 'polaris-v1-spki', value: Uint8Array.of(9) }] }],
  ['a token about other keys', 'bound', { claims: { eat_nonce: encodeBase64url(new Uint8Array(32)) } }],
  ['a token with a second nonce', 'bound', { claims: { eat_nonce: [binding, 'somebody-elses'] } }],
  ['a token without nonce', 'bound', { claims: { eat_nonce: undefined } }],
  ['another issuer', 'issuer', { claims: { iss: 'https://confidentialcomputing.example' } }],
  ['a token for another audience', 'audience', { claims: { aud: 'https://sts.googleapis.com' } }],
  ['a token for several audiences', 'audience', { claims: { aud: ['polaris', 'https://sts.googleapis.com'] } }],
  ['an expired token', 'validity', { claims: { exp: seconds - 61 } }],
  ['a token that is not yet valid', 'validity', { claims: { nbf: seconds + 61 } }],
  ['a token without expiry', 'validity', { claims: { exp: undefined } }],
  ['a token whose times are text', 'validity', { claims: { iat: String(seconds) } }],
  ['an old token', 'freshness', { claims: { iat: seconds - 361 } }],
  [
    'a token older than the policy\'s maximum', 'freshness',
    { claims: { iat: seconds - 100 }, more: { maximumAgeSeconds: 30 } }
  ],
  ['a token from the future', 'freshness', { claims: { iat: seconds + 61 } }],
  ['another system', 'software', { claims: { swname: 'GCE' } }],
  ['no secure boot', 'secure-boot', { claims: { secboot: false } }],
  ['secure boot as text', 'secure-boot', { claims: { secboot: 'true' } }],
  ['debugging on', 'debug', { claims: { dbgstat: 'enabled' } }],
  ['an image of Confidential Space without support', 'support', { claims: { submods: debugSpace } }],
  ['other hardware', 'hardware', { claims: { hwmodel: 'GCP_SHIELDED_VM' } }],
  ['another image', 'image', { container: { image_digest: `sha256:${'cd'.repeat(32)}` } }],
  ['an image without digest', 'image', { container: { image_digest: undefined } }],
  ['another project', 'project', {
    claims: {
      submods: { ...debugSpace, confidential_space: { support_attributes: ['STABLE'] }, gce: { project_id: 'theirs' } }
    }
  }],
  [
    'another service account', 'service-account',
    { claims: { google_service_accounts: ['x@theirs.iam.gserviceaccount.com'] } }
  ],
  [
    'another value in the environment', 'environment',
    { container: { env_override: { POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://attacker.example' } } }
  ],
  [
    'another variable in the environment', 'environment', { container: { env_override: { NODE_OPTIONS: '--inspect' } } }
  ],
  ['a variable named like a prototype\'s member', 'environment', { container: { env_override: { constructor: 'x' } } }],
  ['an environment that is no object', 'environment', { container: { env_override: ['x'] } }],
  ['another command line', 'command', { container: { cmd_override: ['sh'] } }],
  ['no command line where one is expected', 'command', { policy: { command: ['--strict'] } }],
  ['alg none', 'signature', { token: none }],
  ['the public key taken for a shared secret', 'signature', { token: confused }],
  ['a stranger\'s key under the issuer\'s key identifier', 'signature', { token: () => stranger.sign(genuine()) }],
  [
    'jku that points elsewhere', 'signature',
    { token: () => stranger.sign(genuine(), { jku: 'https://attacker.example/keys' }) }
  ],
  ['jwk in the header', 'signature', { token: () => stranger.sign(genuine(), { jwk: stranger.jwk as never }) }],
  ['an unknown key identifier', 'signature', { token: () => key.sign(genuine(), { kid: 'two' }) }],
  ['a key identifier that the key set holds twice', 'signature', { keySet: { keys: [key.jwk, stranger.jwk] } }],
  ['a key set without keys', 'signature', { keySet: {} }],
  ['a key that is not RSA', 'signature', { keySet: { keys: [{ kid: 'one', kty: 'oct', k: 'AAAA' }] } }],
  ['a changed token', 'signature', { token: async () => (await key.sign(genuine())).replace(/\..{4}/, '.eyJh') }],
  ['no evidence', 'evidence', { evidence: [] }],
  ['two tokens', 'evidence', { evidence: [['application/eat+jwt', none], ['application/eat+jwt', none]] }],
  ['evidence that is no token', 'evidence', { token: 'x' }],
  [
    'a platform that the policy does not name', 'platform',
    { more: { platforms: { 'azure-maa': { issuers: ['https://a.example'], hostData: ['00'.repeat(32)] } } } }
  ]
]
for (const [name, check, scene] of cases) {
  t.test(`${name}: ${check} fails alone`, async t => {
    const { verdict, asked } = await appraise(scene)
    t.same(failed(verdict), [check])
    t.notOk(verdict.verified)
    t.ok(asked.every(url => url === DISCOVERY || url === KEYS), 'nobody but the pinned issuer is asked')
    t.notOk(JSON.stringify(verdict.checks).includes('eyJ'), 'no detail holds a token')
  })
}

const unanswered: Array<[name: string, fetch: typeof fetch, message: RegExp]> = [
  ['an issuer that is down', async () => new Response(null, { status: 500 }), /openid-configuration answered 500$/],
  [
    'an issuer that cannot be reached',
    async () => { throw new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ENOTFOUND' }) }) },
    /openid-configuration is unreachable: ENOTFOUND$/
  ],
  ['an issuer that does not answer with JSON', async () => new Response('<html>'), /did not answer with JSON$/],
  [
    'an answer without end',
    async () => new Response(new ReadableStream({ pull: controller => controller.enqueue(new Uint8Array(65_536)) })),
    /more than 262144 bytes$/
  ],
  ['a discovery document without key set', async () => Response.json({}), /names no key set$/],
  [
    'a key set over plain http', async () => Response.json({ jwks_uri: 'http://www.googleapis.com/keys' }),
    /names no key set$/
  ]
]
for (const [name, fetch, message] of unanswered) {
  t.test(`${name}: there is no verdict`, async t => {
    await t.rejects(appraise({ options: { fetch } }), { code: 'ERR_ATTESTATION_FETCH', message })
  })
}

t.test('a policy may leave things open, and the verdict says so', async t => {
  const { projectIds, serviceAccounts, hardwareModels, ...open } = pins
  t.ok(projectIds && serviceAccounts && hardwareModels)
  const policy: AttestationPolicy = {
    version: 1, platforms: { 'google-confidential-space': { ...open, allowDebug: true } }
  }
  const opened = await appraise({ more: policy, claims: { dbgstat: 'enabled', submods: debugSpace } })
  t.ok(opened.verdict.verified)
  for (const name of ['project', 'service-account', 'support']) {
    t.equal(outcomeOf(opened.verdict, name), 'skipped', name)
  }
  t.equal(
    outcomeOf(opened.verdict, 'hardware'), 'passed', 'but some hardware that keeps memory from the host it has to be'
  )
})

for (const hwmodel of ['GCP_SHIELDED_VM', 'none', '', undefined, ['GCP_AMD_SEV']]) {
  const model = JSON.stringify(hwmodel)
  t.test(`hardware ${model} is refused by a policy that names no hardware, and by name only accepted`, async t => {
    const { hardwareModels, ...open } = pins
    t.ok(hardwareModels)
    const policy = (models: Partial<GooglePolicy>): AttestationPolicy => ({
      version: 1, platforms: { 'google-confidential-space': { ...open, ...models } }
    })
    t.same(failed((await appraise({ more: policy({}), claims: { hwmodel } })).verdict), ['hardware'])
    if (typeof hwmodel === 'string' && hwmodel !== '') {
      t.same(failed((await appraise({ more: policy({ hardwareModels: [hwmodel] }), claims: { hwmodel } })).verdict), [])
    }
  })
}

t.test('key sets that were given are used without a network', async t => {
  const { verdict, asked } = await appraise({ options: { keySets: { [ISSUER]: { keys: [key.jwk] } } } })
  t.ok(verdict.verified)
  t.same(asked, [])
})

t.test('a cached document passes where the policy allows it, as long as the token is young', async t => {
  const cached: Scene = { more: { allowCached: true }, options: { nonce: undefined as never } }
  const { verdict } = await appraise(cached)
  t.ok(verdict.verified)
  t.equal(outcomeOf(verdict, 'nonce'), 'skipped')
  t.same(failed((await appraise({ ...cached, claims: { iat: seconds - 400 } })).verdict), ['freshness'])
})

t.test('what a token presents reaches no terminal as control characters', async t => {
  const { verdict } = await appraise({ claims: { hwmodel: '\u001b[2J\u202e\u009bx'.repeat(50) } })
  t.same(failed(verdict), ['hardware'])
  t.ok(verdict.checks.every(({ detail }) => /^[\x20-\x7e]*$/.test(detail) && detail.length < 400))
})
