/** Orders of certificates, with an authority that answers as it should, or limits, lies and breaks off. */
import { X509Certificate, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import { createAcmeClient } from '../../../../lib/tls/acme/client/index.ts'
import type { AcmeClientOptions } from '../../../../lib/tls/acme/client/index.ts'
import type { Challenge } from '../../../../lib/tls/acme/state.ts'
import { startAcmeAuthority } from '../../../fixtures/acme-authority.ts'
import type { AcmeAuthorityOptions, Meddled } from '../../../fixtures/acme-authority.ts'

const never = new AbortController().signal

function newKey (): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
}

async function setUp (
  t: Test, options: Partial<AcmeClientOptions> = {}, ofAuthority: AcmeAuthorityOptions = {}
) {
  const published: (readonly Challenge[])[] = []
  const authority = await startAcmeAuthority(t, ofAuthority)
  const client = createAcmeClient({
    directory: authority.directory,
    ca: authority.ca,
    names: ['A.example.com', 'b.example.com', 'a.example.com'],
    challenge: 'http-01',
    termsAgreed: false,
    email: undefined,
    profile: undefined,
    binding: undefined,
    ...options
  })
  const key = newKey()
  const obtain = () => client.obtain(key, async challenges => { published.push(challenges) }, never)
  return { authority, published, key, obtain }
}

/** Its error is a RemoteError like this. */
async function fails (t: Test, attempt: Promise<unknown>, expected: object): Promise<void> {
  const outcome = await attempt.then(() => undefined, (error: unknown) => error)
  t.match(outcome, { name: 'RemoteError', ...expected })
}

t.test('one order for all names; the account is kept for the next', async t => {
  const shown: string[] = []
  const { authority, published, key, obtain } = await setUp(t, {
    email: 'o@example.com', profile: 'short', termsAgreed: true, binding: { keyId: 'kid', key: Buffer.alloc(32) }
  }, {
    meta: { termsOfService: 'https://terms.invalid/', externalAccountRequired: true },
    validate: async (_name, token, answer) => { shown.push(`${token} ${answer}`) }
  })
  const { cert, notBefore, notAfter } = await obtain()
  const leaf = new X509Certificate(cert)
  t.ok(leaf.publicKey.equals(createPublicKey(createPrivateKey(key))))
  t.equal(leaf.subjectAltName, 'DNS:a.example.com, DNS:b.example.com')
  t.equal(cert.match(/BEGIN CERTIFICATE/g)?.length, 2, 'without what is for people')
  t.notMatch(cert, 'Subject')
  t.ok(notBefore < notAfter)
  t.same(authority.order, {
    identifiers: [{ type: 'dns', value: 'a.example.com' }, { type: 'dns', value: 'b.example.com' }], profile: 'short'
  })
  t.match(authority.account, {
    termsOfServiceAgreed: true, contact: ['mailto:o@example.com'], externalAccountBinding: { signature: String }
  })
  t.same(
    published[0]?.map(challenge => challenge.type === 'http-01' && `${challenge.token} ${challenge.answer}`), shown
  )
  await obtain()
  t.equal(authority.asked.filter(what => what === 'account').length, 1)
  t.equal(authority.asked.filter(what => what === 'dir').length, 1)
})

t.test('an authority that forgot the account, as after a restart, gets another with the next attempt', async t => {
  const { authority, obtain } = await setUp(t)
  await obtain()
  authority.meddle = (what, count) => what !== 'neworder' || count > 2
    ? undefined
    : { status: 400, body: { type: 'urn:ietf:params:acme:error:accountDoesNotExist' } }
  await fails(t, obtain(), { providerCode: 'accountDoesNotExist' })
  await obtain()
  t.equal(authority.asked.filter(what => what === 'account').length, 2)
})

t.test('a nonce that is refused is replaced, but not for ever', async t => {
  const bad = { status: 400, body: { type: 'urn:ietf:params:acme:error:badNonce' } }
  const { authority, obtain } = await setUp(t)
  authority.meddle = (what, count) => what === 'neworder' && count < 5 ? bad : undefined
  await obtain()
  authority.meddle = what => what === 'neworder' ? bad : undefined
  const before = authority.asked.length
  await fails(t, obtain(), { providerCode: 'badNonce', kind: 'transient' })
  t.ok(authority.asked.length - before <= 12)
})

t.test('what an operator has to do comes as advice', async t => {
  for (const [meta, options, code] of [
    [{ termsOfService: 'https://terms.invalid/' }, {}, 'TERMS'],
    [{ externalAccountRequired: true }, {}, 'EXTERNAL_ACCOUNT']
  ] as const) {
    const { authority, obtain } = await setUp(t, options, { meta })
    await fails(t, obtain(), { kind: 'configuration', providerCode: code, advice: /POLARIS_CONTAINER_TLS_ACME_/ })
    t.notOk(authority.asked.includes('account'))
  }
  const { authority, obtain } = await setUp(t, { names: ['a.example.com'] })
  authority.meddle = what => what !== 'authz'
    ? undefined
    : {
        body: {
          status: 'pending', identifier: { type: 'dns', value: 'a.example.com' }, challenges: [{ type: 'dns-01' }]
        }
      }
  await fails(t, obtain(), { kind: 'configuration', providerCode: 'CHALLENGE' })
})

t.test('a name that the authority could not validate is named, with why', async t => {
  const { obtain } = await setUp(t, {}, {
    validate: async name => { if (name.startsWith('b')) throw new Error('unreachable') }
  })
  await fails(t, obtain(), {
    kind: 'refused',
    providerCode: 'connection',
    message: 'The certificate authority could not validate b.example.com (connection: Connection refused)',
    advice: /port 443/
  })
})

const urn = 'urn:ietf:params:acme:error:'
const problems: readonly (readonly [string, string, Meddled, object])[] = [
  ['a limit', 'neworder', {
    status: 429, headers: { 'retry-after': '3600' }, body: { type: `${urn}rateLimited`, detail: 'too\nmany\x1b[31m' }
  }, {
    kind: 'refused',
    providerCode: 'rateLimited',
    retryAfter: 3600,
    message: /limits .*\(rateLimited: too many \[31m\)$/
  }],
  ['a limit that ends far away', 'neworder', {
    status: 403,
    headers: { 'retry-after': new Date(Date.now() + 1e9).toUTCString() },
    body: { type: `${urn}rateLimited` }
  }, { retryAfter: 86_400 }],
  ['an overload', 'account', { status: 503, headers: { 'retry-after': '7' }, body: '<html>' }, {
    kind: 'transient',
    providerCode: 'unknown',
    retryAfter: 7,
    message: 'The certificate authority answers 503 (unknown)'
  }],
  ['a page in place of a directory', 'dir', { body: '<html>' }, { kind: 'transient', providerCode: 'MALFORMED' }],
  ['a redirection', 'dir', { status: 302, headers: { location: 'https://localhost/' } }, { kind: 'refused' }],
  ['a directory of another host', 'dir', {
    body: Object.fromEntries(['newNonce', 'newAccount', 'newOrder'].map(name => [name, 'https://other.invalid/']))
  }, { providerCode: 'MALFORMED' }],
  ['a directory that is cut off', 'dir', { body: { newNonce: 'https://' }, cut: 5 }, { kind: 'transient' }],
  ['a nonce that is none', 'nonce', { headers: { 'replay-nonce': 'a b' } }, { providerCode: 'MALFORMED' }],
  ['no nonce at all', 'nonce', { status: 500 }, { kind: 'transient' }],
  ['an account without its URL', 'account', { status: 201, body: {} }, { providerCode: 'MALFORMED' }],
  ['an order that is too long', 'neworder', {
    status: 201, headers: { location: 'https://localhost/' }, body: ' '.repeat(200_000)
  }, { message: /too long|cannot be used/ }],
  ['an order without names', 'order', { body: { status: 'ready', authorizations: [], finalize: 'x' } }, {
    providerCode: 'MALFORMED'
  }],
  ['a name that was not ordered', 'authz', {
    body: { status: 'pending', identifier: { type: 'dns', value: 'other.example.com' }, challenges: [{ type: 'x' }] }
  }, { providerCode: 'MALFORMED' }],
  ['a token that is a path', 'authz', {
    body: {
      status: 'pending',
      identifier: { type: 'dns', value: 'a.example.com' },
      challenges: [{ type: 'http-01', url: 'https://localhost/', token: '../../etc/passwd/and-so-on' }]
    }
  }, { providerCode: 'MALFORMED' }],
  ['a refused request', 'finalize', {
    status: 403, body: { type: `${urn}caa`, detail: 'CAA', subproblems: [{ detail: 'for a.example.com' }] }
  }, { kind: 'refused', message: /caa: CAA; for a.example.com/, advice: /CAA records/ }],
  ['a certificate that is none', 'cert', { body: 'nothing' }, { kind: 'refused', message: /no certificates/ }],
  ['a certificate of nonsense', 'cert', {
    body: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  }, { kind: 'refused', message: /cannot be read$/ }]
]

for (const [name, what, meddled, expected] of problems) {
  t.test(`${name}: one failure, which says what it is`, async t => {
    const { authority, obtain } = await setUp(t)
    authority.meddle = asked => asked === what ? meddled : undefined
    await fails(t, obtain(), expected)
    authority.meddle = () => undefined
    await obtain()
  })
}

t.test('a certificate for another key, for other names, or of the past is refused', async t => {
  const { authority, obtain } = await setUp(t, { names: ['a.example.com'] })
  const other = await setUp(t, { names: ['a.example.com'] })
  const { cert } = await other.obtain()
  authority.meddle = what => what === 'cert' ? { body: cert } : undefined
  await fails(t, obtain(), { message: /for another key/ })
  const past = await setUp(t, { names: ['a.example.com'] }, { validity: -10 })
  await fails(t, past.obtain(), { message: /has expired/ })
})

t.test('its own certificate has to be that of the authority which is named', async t => {
  const { obtain, authority } = await setUp(t, { ca: undefined })
  await fails(t, obtain(), { kind: 'refused', message: /certificate that is not accepted/ })
  t.same(authority.asked, [])
})

t.test('an attempt that is given up ends', async t => {
  const authority = await startAcmeAuthority(t, { validate: () => new Promise(() => undefined) })
  const client = createAcmeClient({
    directory: authority.directory,
    ca: authority.ca,
    names: ['a.example.com'],
    challenge: 'tls-alpn-01',
    termsAgreed: true,
    email: undefined,
    profile: undefined,
    binding: undefined
  })
  const stop = new AbortController()
  const obtaining = client.obtain(newKey(), async () => { setTimeout(() => stop.abort(), 1500) }, stop.signal)
  await t.rejects(obtaining)
})
