/** Keys in Google Cloud KMS, by federated identity, against stand-ins for the KMS and the token service. */
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import type { GoogleFederatedOptions } from '../../../../lib/platforms/google/federated-keys.ts'
import { KeysBusyError, UnwrapError } from '../../../../lib/keys/provider.ts'
import { startKms } from '../../../fixtures/kms-server.ts'
import { createAuthority } from '../../../fixtures/certificates.ts'
import { createLog } from '../../../fixtures/log.ts'
import { rsaKey, wrap } from '../../../fixtures/rsa.ts'
import { AUDIENCE, attestationToken, startSts } from '../../../fixtures/sts.ts'
import type { StsFault } from '../../../fixtures/sts.ts'

process.env.METADATA_SERVER_DETECTION = 'none'

const dir = t.testdir()
const tokenFile = join(dir, 'token')
const log = createLog()
const kms = await startKms(dir)
const sts = await startSts(token => kms.tokens.add(token))
// Google's client reads the roots that it trusts, which the KMS above sets, when it is loaded.
const { createGoogleFederatedProvider } = await import('../../../../lib/platforms/google/federated-keys.ts')
const [first, second] = [rsaKey(), rsaKey()] as const
const attested: string[] = []
const quick = { firstDelay: 1, maxDelay: 2 }
const PLAINTEXT = 'the plaintext of a wrapped key'

/** Puts a new attestation token in place, the way the launcher does. */
async function attest (lifetime = 3600): Promise<string> {
  const token = attestationToken(lifetime, `attestation-${attested.length}`)
  attested.push(token)
  await writeFile(`${tokenFile}.new`, `${token}\n`)
  await rename(`${tokenFile}.new`, tokenFile)
  return token
}

t.teardown(async () => {
  kms.close()
  await sts.close()
})
t.beforeEach(async () => {
  kms.faults.length = kms.calls.length = sts.faults.length = sts.presented.length = 0
  sts.lifetime = 3600
  kms.versions.clear()
  kms.versions.set('1', { key: first, enabled: true })
  await attest()
})

async function provide (t: Test, options: Partial<GoogleFederatedOptions> = {}) {
  const provider = await createGoogleFederatedProvider({
    projectId: 'p',
    location: 'europe-west4',
    keyRing: 'ring',
    key: 'key',
    audience: AUDIENCE,
    serviceAccountImpersonationUrl: sts.impersonationUrl,
    tokenFile,
    tokenUrl: sts.tokenUrl,
    kmsEndpoint: kms.endpoint,
    retry: quick,
    ...options
  }, log)
  t.teardown(() => provider.close())
  return provider
}

const idOf = (
  provider: { publicKeys (): ReadonlyArray<{ keyId: string }> }, index = 0
) => provider.publicKeys()[index]?.keyId ?? ''
const lastFailure = () => log.lines.findLast(({ level }) => level !== 'info')

t.test('the KMS decrypts what is wrapped to the key it publishes, with or without a service account', async t => {
  for (const serviceAccount of [true, false]) {
    const options = serviceAccount ? {} : { serviceAccountImpersonationUrl: '' }
    const provider = await provide(t, options)
    await provider.ready
    t.same(provider.publicKeys(), [{ keyId: `v1-${first.keyId}`, algorithm: 'RSA-OAEP-256', pem: first.publicPem }])
    t.equal(Buffer.from(await provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT))).toString(), PLAINTEXT)
    t.equal(provider.remote, true)
    t.equal(provider.deriveSecret, undefined)
    t.same(sts.presented, [attested.at(-1)], 'one exchange, with the whole token and nothing around it')
    sts.presented.length = 0
  }
})

t.test('what cannot be decrypted is an UnwrapError, and what cannot be a ciphertext never reaches the KMS', async t => {
  const provider = await provide(t)
  await provider.ready
  kms.calls.length = 0
  await t.rejects(provider.unwrap(idOf(provider), wrap(second.publicKey, PLAINTEXT)), UnwrapError)
  t.equal(kms.calls.length, 1)
  for (const length of [0, 1, 255, 257, 512]) {
    await t.rejects(provider.unwrap(idOf(provider), new Uint8Array(length)), UnwrapError)
  }
  await t.rejects(provider.unwrap('v9-unknown', wrap(first.publicKey, PLAINTEXT)), UnwrapError)
  t.equal(kms.calls.length, 1)
  for (let i = 0; i < 10; i++) {
    await t.rejects(provider.unwrap(idOf(provider), new Uint8Array(256)), UnwrapError, 'the circuit stays closed')
  }
})

t.test('several versions are published newest first, and a disabled or missing older one is left out', async t => {
  kms.versions.set('2', { key: second, enabled: true })
  const provider = await provide(t, { versions: ['2', '1', '7'] })
  await provider.ready
  t.same(provider.publicKeys().map(({ keyId }) => keyId), [`v2-${second.keyId}`, `v1-${first.keyId}`])
  t.match(lastFailure(), { level: 'warn', details: { version: '7', providerCode: 'PERMISSION_DENIED' } })
  t.ok(await provider.unwrap(idOf(provider, 1), wrap(first.publicKey, PLAINTEXT)))

  kms.versions.set('1', { key: first, enabled: false })
  await provider.refresh()
  t.same(provider.publicKeys().map(({ keyId }) => keyId), [`v2-${second.keyId}`])
  const warning = log.lines.findLast(({ details }) => details.version === '1')
  t.match(warning, { level: 'warn', details: { providerCode: 'FAILED_PRECONDITION' }, message: /not enabled/ })
})

t.test('whatever is wrong with the key is told with its code and what to do, and the start goes on', async t => {
  const cases: Array<[name: string, prepare: () => unknown, level: string, providerCode: string, message: RegExp]> = [
    ['wrong version', () => kms.versions.clear(), 'error', 'PERMISSION_DENIED', /cryptoKeyDecrypter.*do not exist/],
    [
      'disabled version', () => kms.versions.set('1', { key: first, enabled: false }), 'error', 'FAILED_PRECONDITION',
      /Enable it/
    ],
    ['not found', () => kms.faults.push({ code: 5, details: '' }), 'error', 'NOT_FOUND', /does not exist/],
    ['throttled', () => kms.faults.push({ code: 8, details: 'quota' }), 'error', 'RESOURCE_EXHAUSTED', /quota/],
    ['unavailable', () => kms.faults.push({ code: 14, details: 'try later' }), 'warn', 'UNAVAILABLE', /not available/],
    [
      'a token that is not accepted', () => kms.faults.push({ code: 16, details: 'no' }), 'warn', 'UNAUTHENTICATED',
      /clock/
    ],
    [
      'always corrupted', () => kms.faults.push('corrupt-response', 'corrupt-response', 'wrong-name'), 'warn',
      'CRC32C_MISMATCH', /corrupted/
    ]
  ]
  for (const [name, prepare, level, providerCode, message] of cases) {
    kms.versions.set('1', { key: first, enabled: true })
    prepare()
    const before = log.lines.length
    const provider = await provide(t, { retry: { ...quick, deadline: 1000 } })
    while (log.lines.length === before) await new Promise(setImmediate)
    t.match(log.lines[before], { level, message, details: { providerCode } }, name)
    kms.versions.set('1', { key: first, enabled: true })
    if (providerCode === 'RESOURCE_EXHAUSTED') {
      await t.rejects(
        provider.ready, { code: 'ERR_REMOTE', providerCode }, 'told to wait for longer than there is'
      )
    } else await provider.ready
  }
})

t.test('a name or a key that can never work ends the start', async t => {
  for (const [fault, providerCode] of [
    [{ code: 3, details: 'bad name' }, 'INVALID_ARGUMENT'], ['wrong-algorithm', 'KEY_UNUSABLE']
  ] as const) {
    kms.faults.push(fault)
    const provider = await provide(t)
    await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'configuration', providerCode })
    t.equal(provider.status().ready, false)
  }
})

t.test('corruption on the way is noticed and tried again, and never taken for an answer', async t => {
  kms.faults.push('corrupt-response', 'wrong-name')
  const provider = await provide(t)
  await provider.ready
  t.equal(kms.calls.length, 3)

  kms.faults.push('corrupt-response', 'unverified')
  t.equal(Buffer.from(await provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT))).toString(), PLAINTEXT)
  kms.faults.push('unverified', 'unverified', 'unverified')
  await t.rejects(provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT)), KeysBusyError)
  t.match(lastFailure(), { details: { providerCode: 'CRC32C_MISMATCH' } })
})

t.test('a refused exchange names the side that refused', async t => {
  const echo = (fault: StsFault) => { sts.faults.push(fault) }
  const cases: Array<[
    name: string, prepare: () => unknown, options: Partial<GoogleFederatedOptions>, providerCode: string,
    message: RegExp
  ]> = [
    ['wrong audience', () => undefined, { audience: '//iam.googleapis.com/other' }, 'invalid_target', /audience/],
    [
      'attribute condition',
      () => echo({ status: 400, body: JSON.stringify({ error: 'invalid_grant', error_description: attested.at(-1) }) }),
      {}, 'invalid_grant', /attribute condition/
    ],
    [
      'an error that is a token', () => echo({ status: 403, body: JSON.stringify({ error: attested.at(-1) }) }), {},
      'HTTP_403', /attribute condition/
    ],
    [
      'wrong service account', () => undefined, { serviceAccountImpersonationUrl: `${sts.impersonationUrl}x` },
      'NOT_FOUND', /workloadIdentityUser/
    ]
  ]
  for (const [name, prepare, options, providerCode, message] of cases) {
    prepare()
    const impersonate = name === 'wrong service account'
    const server = impersonate ? await startSts(() => undefined) : undefined
    const provider = await provide(t, {
      ...options,
      retry: { ...quick, deadline: 0 },
      ...(server && { tokenUrl: sts.tokenUrl, serviceAccountImpersonationUrl: server.impersonationUrl })
    })
    if (server) t.teardown(() => server.close())
    await t.rejects(
      provider.ready,
      { code: 'ERR_REMOTE', kind: 'refused', providerCode: impersonate ? 'UNAUTHENTICATED' : providerCode }, name
    )
    t.match(lastFailure(), { level: 'error', message }, name)
  }
})

t.test('an attestation token that is missing, malformed or about to expire is waited for, not presented', async t => {
  const cases: Array<[name: string, token: string, providerCode: string]> = [
    ['empty', '', 'TOKEN_MALFORMED'],
    ['white space', ' \n', 'TOKEN_MALFORMED'],
    ['no JWT', 'token', 'TOKEN_MALFORMED'],
    ['claims that are null', 'e30.bnVsbA.c2ln', 'TOKEN_MALFORMED'],
    ['cut short', attestationToken(3600).slice(0, 60), 'TOKEN_MALFORMED'],
    ['without a signature', attestationToken(3600).replace(/\.[^.]*$/, '.'), 'TOKEN_MALFORMED'],
    ['without an expiry', `e30.${Buffer.from('{}').toString('base64url')}.c2ln`, 'TOKEN_MALFORMED'],
    ['expired', attestationToken(-1), 'TOKEN_EXPIRED'],
    ['about to expire', attestationToken(50), 'TOKEN_EXPIRED']
  ]
  for (const [name, token, providerCode] of cases) {
    await writeFile(tokenFile, token)
    const provider = await provide(t, { retry: { ...quick, deadline: 0 } })
    await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'transient', providerCode }, name)
  }
  const missing = await provide(t, { retry: { ...quick, deadline: 0 }, tokenFile: join(dir, 'missing') })
  await t.rejects(missing.ready, { code: 'ERR_REMOTE', providerCode: 'ENOENT' })
  t.same(sts.presented, [])

  await writeFile(tokenFile, attestationToken(-1))
  const late = await provide(t)
  while (late.status().ready || !/expired/.test(JSON.stringify(late.status()))) await new Promise(setImmediate)
  await attest()
  await late.ready
})

t.test('a clock that is ahead is named as a possible reason', async t => {
  const provider = await provide(t, { retry: { ...quick, deadline: 0 }, now: () => Date.now() + 2 * 3_600_000 })
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', providerCode: 'TOKEN_EXPIRED' })
  t.match(lastFailure(), { message: /clock/ })
})

t.test('an access token that expires is replaced with the attestation token of that moment', async t => {
  sts.lifetime = 1
  const provider = await provide(t)
  await provider.ready
  const replaced = await attest()
  t.ok(await provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT)))
  t.equal(sts.presented.at(-1), replaced)
})

t.test('an access token that is revoked is replaced', async t => {
  const provider = await provide(t)
  await provider.ready
  kms.tokens.clear()
  await t.rejects(provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT)), KeysBusyError)
  t.ok(await provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT)))
})

t.test('a slow start is waited out, the exchange failing in every way first', async t => {
  const forbidden = { status: 403, body: '{"error":"access_denied"}' }
  sts.faults.push(
    ...Array.from({ length: 8 }, () => forbidden), { status: 200, body: '{"access_token":' }, 'truncate',
    { status: 400, body: '' }
  )
  const provider = await provide(t)
  await provider.ready
  t.ok(await provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT)))
})

t.test('what hangs is given up and does not hang the next attempt', async t => {
  kms.faults.push('hang')
  sts.faults.push('hang')
  const provider = await provide(t, { retry: { ...quick, attemptTimeout: 300 } })
  await provider.ready
  t.match(lastFailure(), { details: { providerCode: 'TIMEOUT' } })

  sts.faults.push('hang')
  const slow = await provide(t, { exchangeTimeout: 50 })
  await slow.ready
  t.match(lastFailure(), { details: { providerCode: 'TIMEOUT' }, message: /sts\.googleapis\.com/ })

  const limited = await provide(t, { limits: { timeout: 100 } })
  await limited.ready
  kms.faults.push('hang')
  await t.rejects(limited.unwrap(idOf(limited), wrap(first.publicKey, PLAINTEXT)), KeysBusyError)
  t.ok(await limited.unwrap(idOf(limited), wrap(first.publicKey, PLAINTEXT)))
})

t.test('repeated failure opens the circuit, and callers are told when to come back', async t => {
  const provider = await provide(t, { limits: { failureThreshold: 2, coolDown: 60_000 } })
  await provider.ready
  kms.versions.set('1', { key: first, enabled: false })
  const unwrap = () => provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT))
  for (let i = 0; i < 2; i++) await t.rejects(unwrap(), KeysBusyError)
  t.match(lastFailure(), { level: 'warn', details: { providerCode: 'FAILED_PRECONDITION', circuitOpen: true } })
  const calls = kms.calls.length
  await t.rejects(unwrap(), { code: 'ERR_KEYS_BUSY', retryAfter: 60 })
  t.equal(kms.calls.length, calls)
})

t.test('a throttled KMS is left alone at once', async t => {
  const provider = await provide(t)
  await provider.ready
  kms.faults.push({ code: 8, details: 'quota' })
  await t.rejects(
    provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT)), { code: 'ERR_KEYS_BUSY', retryAfter: 10 }
  )
  const calls = kms.calls.length
  await t.rejects(provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT)), KeysBusyError)
  t.equal(kms.calls.length, calls)
})

t.test('a short unavailability is bridged by the client', async t => {
  const provider = await provide(t)
  await provider.ready
  kms.faults.push({ code: 14, details: 'try later' })
  t.ok(await provider.unwrap(idOf(provider), wrap(first.publicKey, PLAINTEXT)))
})

t.test('a server that cannot prove its name is not talked to', async t => {
  const provider = await provide(t, { kmsEndpoint: kms.endpointOfAnotherName, retry: { ...quick, deadline: 0 } })
  await t.rejects(provider.ready, { code: 'ERR_REMOTE' })
  t.equal(kms.calls.length, 0)
  t.match(lastFailure(), { level: 'error', message: /certificate/ })
})

t.test('a Security Token Service that throttles is left alone for as long as it asks', async t => {
  // Google's client tries a few times by itself.
  const throttled = { status: 429, body: '{"error":"rate_limit"}', headers: { 'retry-after': '8' } }
  sts.faults.push(...Array(10).fill(throttled))
  const provider = await provide(t, { retry: { ...quick, deadline: 0 } })
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'transient', providerCode: 'rate_limit', retryAfter: 8 })
})

t.test('a Security Token Service that cannot prove its name gets no token', async t => {
  const { certPem: cert, keyPem: key } = createAuthority().issue(['localhost'])
  let requests = 0
  const imposter = createServer({ cert, key }, (_request, response) => {
    requests++
    response.end()
  })
  await new Promise<void>(resolve => { imposter.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { imposter.close() })
  const provider = await provide(t, {
    tokenUrl: `https://127.0.0.1:${(imposter.address() as AddressInfo).port}/v1/token`, retry: { ...quick, deadline: 0 }
  })
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'refused' })
  t.match(lastFailure(), { message: /certificate/ })
  t.equal(requests, 0)
})

t.test('a rotation under load fails no request', async t => {
  const provider = await provide(t)
  const rotated = await provide(t, { versions: ['2', '1'] })
  await provider.ready
  rotated.ready.catch(() => undefined)
  let done: Promise<void> | undefined
  for (let i = 0; i < 30; i++) {
    if (i === 10) {
      kms.versions.set('2', { key: second, enabled: true })
      done = rotated.refresh()
    }
    if (i === 20) await done
    const serving = i < 20 ? provider : rotated
    const opened = await Promise.all(
      [1, 2, 3, 4].map(() => serving.unwrap(`v1-${first.keyId}`, wrap(first.publicKey, PLAINTEXT)))
    )
    for (const octets of opened) t.equal(Buffer.from(octets).toString(), PLAINTEXT)
  }
  t.same(rotated.publicKeys().map(({ keyId }) => keyId), [`v2-${second.keyId}`, `v1-${first.keyId}`])
})

t.test('nothing secret was logged', async t => {
  t.ok(log.lines.length > 30)
  t.same(log.leaked([PLAINTEXT, ...attested, ...sts.issued, ...attested.flatMap(token => token.split('.'))]), [])
})
