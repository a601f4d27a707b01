/** Secure key release on Azure, by the sidecars that are deployed: shapes, slow starts, odd answers. */
import fc from 'fast-check'
import t from 'tap'
import type { Test } from 'tap'
import { attestMaa } from '../../../../lib/platforms/azure/sidecar.ts'
import type { AzureSkrOptions } from '../../../../lib/platforms/azure/skr.ts'
import { createAzureSkrProvider } from '../../../../lib/platforms/azure/skr.ts'
import { UnwrapError } from '../../../../lib/keys/provider.ts'
import { createLog } from '../../../fixtures/log.ts'
import { rsaKey, secretsOf, wrap } from '../../../fixtures/rsa.ts'
import { oddAnswers, startSidecar } from '../../../fixtures/skr-sidecar.ts'
import type { OddAnswer } from '../../../fixtures/skr-sidecar.ts'

const ACCESS_TOKEN = 'eyJ-access-token-for-the-vault'
const [current, previous] = [rsaKey(), rsaKey()] as const
const log = createLog()
const quick = { firstDelay: 1, maxDelay: 2 }
const sidecar = await startSidecar({ proxy: current, 'proxy/1': previous })

t.teardown(() => sidecar.close())
t.afterEach(() => {
  sidecar.odd.length = 0
  sidecar.requests.length = 0
  sidecar.shape = 'jwk-string'
  sidecar.keys.set('proxy', current)
})

/** A provider of the sidecar, ended with the test. */
async function provide (t: Test, options: Partial<AzureSkrOptions> = {}) {
  const provider = await createAzureSkrProvider({
    maaEndpoint: 'maa.example',
    akvEndpoint: 'vault.example',
    kids: ['proxy'],
    endpoint: sidecar.url,
    retry: quick,
    concurrency: 1,
    ...options
  }, log)
  t.teardown(() => provider.close())
  return provider
}

t.test('the key is released in the shape of either sidecar, and opens what is wrapped to it', async t => {
  const cases = [
    ['jwk-string', {}],
    [
      'jwk-string', { maaEndpoint: 'https://maa.example/', akvEndpoint: 'https://vault.example/', endpointForm: 'host' }
    ],
    ['jwk-object', {}],
    ['pem', { maaEndpoint: 'https://maa.example', akvEndpoint: 'https://vault.example' }],
    ['pem', { endpointForm: 'url' }]
  ] as const
  for (const [shape, options] of cases) {
    const name = `${shape} ${JSON.stringify(options)}`
    sidecar.shape = shape
    const provider = await provide(t, { ...options, accessToken: ACCESS_TOKEN })
    await provider.ready
    t.same(provider.publicKeys(), [{ keyId: current.keyId, algorithm: 'RSA-OAEP-256', pem: current.publicPem }], name)
    t.equal(
      Buffer.from(await provider.unwrap(current.keyId, wrap(current.publicKey, 'secret'))).toString(), 'secret', name
    )
    await t.rejects(provider.unwrap(current.keyId, wrap(previous.publicKey, 'secret')), UnwrapError, name)
    t.same(sidecar.requests.at(-1)?.body, {
      maa_endpoint: shape === 'pem' ? 'https://maa.example' : 'maa.example',
      akv_endpoint: shape === 'pem' ? 'https://vault.example' : 'vault.example',
      kid: 'proxy',
      access_token: ACCESS_TOKEN
    }, name)
  }
})

t.test('several versions are published newest first, and all of them decrypt', async t => {
  const provider = await provide(t, { kids: ['proxy', 'proxy/1'] })
  await provider.ready
  t.same(provider.publicKeys().map(({ keyId }) => keyId), [current.keyId, previous.keyId])
  for (const key of [current, previous]) t.ok(await provider.unwrap(key.keyId, wrap(key.publicKey, 'secret')))
  const secret = await provider.deriveSecret?.(current.keyId, 'label', 32)
  t.equal(secret?.length, 32)
  t.notSame(await provider.deriveSecret?.(previous.keyId, 'label', 32), secret)
})

t.test('a slow start is waited out: 403 ten times, then the key', async t => {
  sidecar.odd.push(...Array.from({ length: 10 }, () => oddAnswers.vaultForbids))
  const provider = await provide(t)
  await provider.ready
  t.equal(sidecar.requests.length, 11)
  t.same(provider.status(), { ready: true })
})

t.test('every odd answer is told for what it is, with what to do, and the start goes on', async t => {
  const cases: Array<[name: string, odd: OddAnswer, level: string, providerCode: string, message: RegExp]> = [
    ['the vault forbids', oddAnswers.vaultForbids, 'error', 'HTTP_403', /Key Vault did not release.*release policy/],
    ['no such key', oddAnswers.keyNotFound, 'error', 'HTTP_404', /name of the vault and the key/],
    ['the vault throttles', oddAnswers.vaultThrottles, 'warn', 'HTTP_429', /Key Vault/],
    ['the vault fails', oddAnswers.vaultFails, 'warn', 'HTTP_503', /Key Vault/],
    ['attestation fails', oddAnswers.attestationFails, 'error', 'HTTP_400', /confidential SKU/],
    ['no identity yet', oddAnswers.noIdentity, 'error', 'HTTP_404', /managed identity/],
    ['a host that is a URL', oddAnswers.noSuchHost, 'error', 'NO_SUCH_HOST', /without https/],
    ['no explanation', oddAnswers.unexplained, 'warn', 'HTTP_403', /log of the sidecar/],
    ['an internal error', oddAnswers.internal, 'warn', 'HTTP_500', /log of the sidecar/],
    ['two documents', oddAnswers.twoDocuments, 'warn', 'HTTP_500', /Attestation/],
    ['not JSON', oddAnswers.notJson, 'warn', 'UNEXPECTED_ANSWER', /unexpected answer/],
    ['null', oddAnswers.jsonNull, 'warn', 'UNEXPECTED_ANSWER', /unexpected answer/],
    ['no key', oddAnswers.noKey, 'error', 'KEY_UNUSABLE', /RSA-HSM/],
    ['a symmetric key', oddAnswers.symmetricKey, 'error', 'KEY_UNUSABLE', /RSA-HSM/],
    ['too much', { status: 200, body: 'x'.repeat(300_000) }, 'warn', 'ERR_TOO_LONG', /too long/],
    ['a body cut short', 'truncate', 'warn', 'ECONNRESET', /is unreachable/],
    ['a reset', 'reset', 'warn', 'ECONNRESET', /is unreachable/]
  ]
  for (const [name, odd, level, providerCode, message] of cases) {
    sidecar.odd.push(odd)
    const before = log.lines.length
    const provider = await provide(t)
    await provider.ready
    t.match(log.lines[before], { level, message, details: { providerCode, attempt: 1 } }, name)
  }
})

t.test('a request that the sidecar cannot read is bad configuration: no retry', async t => {
  sidecar.odd.push(oddAnswers.emptyError)
  const provider = await provide(t)
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'configuration', providerCode: 'HTTP_400' })
  t.equal(sidecar.requests.length, 1)
})

t.test('keys whose parts are not of one key are refused', async t => {
  const jwk = { ...current.privateKey.export({ format: 'jwk' }), n: previous.publicKey.export({ format: 'jwk' }).n }
  sidecar.odd.push({ status: 200, body: JSON.stringify({ key: jwk }) })
  await t.rejects((await provide(t)).ready, { code: 'ERR_REMOTE', providerCode: 'KEY_UNUSABLE' })

  sidecar.odd.push(
    { status: 200, body: JSON.stringify({ privateKey: current.privatePem, publicKey: previous.publicPem }) }
  )
  const mismatch = await provide(t, { retry: { ...quick, deadline: 0 } })
  await t.rejects(mismatch.ready, { code: 'ERR_REMOTE', providerCode: 'KEY_UNUSABLE' })
  t.match(mismatch.status(), { ready: false, reason: /not that of the private key/ })
})

t.test('the retries and the interval of existing deployments keep their meaning', async t => {
  sidecar.odd.push(...Array.from({ length: 6 }, () => oddAnswers.vaultForbids))
  const provider = await provide(t, { retry: { fixed: { retries: 5, interval: 1 } } })
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', providerCode: 'HTTP_403' })
  t.equal(sidecar.requests.length, 6)
  t.match(provider.status(), { ready: false, reason: 'Key Vault did not release the key' })
})

t.test('a sidecar that hangs is asked again, and one that is not there is waited for', async t => {
  sidecar.odd.push('hang')
  const provider = await provide(t, { retry: { ...quick, attemptTimeout: 50 } })
  await provider.ready
  t.match(log.lines.findLast(({ level }) => level === 'warn'), { details: { providerCode: 'TIMEOUT' } })

  const gone = await startSidecar({})
  await gone.close()
  const waiting = await provide(t, { endpoint: gone.url, retry: { ...quick, deadline: 0 } })
  await t.rejects(waiting.ready, { code: 'ERR_REMOTE', kind: 'transient', providerCode: 'ECONNREFUSED' })
})

t.test('a rotation under load fails no request', async t => {
  const provider = await provide(t)
  await provider.ready
  const next = rsaKey()
  let rotated: Promise<void> | undefined
  for (let i = 0; i < 40; i++) {
    const pem = provider.publicKeys()[0]?.pem ?? ''
    const keyId = provider.publicKeys()[0]?.keyId ?? ''
    if (i === 10) {
      sidecar.keys.set('proxy', next)
      sidecar.odd.push(oddAnswers.vaultThrottles)
      rotated = provider.refresh()
    }
    const opened = await Promise.all(
      [provider.unwrap(keyId, wrap(pem, 'a')), provider.unwrap(current.keyId, wrap(current.publicKey, 'b'))]
    )
    t.same(opened.map(octets => Buffer.from(octets).toString()), ['a', 'b'])
  }
  await rotated
  t.same(provider.publicKeys().map(({ keyId }) => keyId), [next.keyId])
  t.ok(await provider.unwrap(current.keyId, wrap(current.publicKey, 'b')))
})

t.test('the sidecar attests over runtime data for other providers', async t => {
  const signal = new AbortController().signal
  const data = Buffer.from('{"keys":[]}')
  const token = await attestMaa({ endpoint: sidecar.url }, 'maa.example', data, signal)
  t.same(Buffer.from(token.split('.')[1] ?? '', 'base64url'), data)
  const cases = [
    [oddAnswers.twoDocuments, 'HTTP_500'], [oddAnswers.emptyToken, 'UNEXPECTED_ANSWER'],
    [oddAnswers.attestationFails, 'HTTP_400']
  ] as const
  for (const [odd, providerCode] of cases) {
    sidecar.odd.push(odd)
    await t.rejects(
      attestMaa({ endpoint: sidecar.url }, 'maa.example', data, signal), { code: 'ERR_REMOTE', providerCode }
    )
  }
})

t.test('an answer that is anything else is refused, and nothing of it is repeated', async () => {
  await fc.assert(fc.asyncProperty(fc.oneof(fc.json(), fc.json().map(key => JSON.stringify({ key })), fc.record({
    key: fc.option(
      fc.dictionary(fc.constantFrom('kty', 'n', 'e', 'd', 'p', 'q'), fc.base64String()), { nil: undefined }
    ),
    privateKey: fc.option(fc.string(), { nil: undefined })
  }).map(body => JSON.stringify(body))), async body => {
    sidecar.odd.push({ status: 200, body })
    const own = createLog()
    const provider = await createAzureSkrProvider({
      maaEndpoint: 'maa.example',
      akvEndpoint: 'vault.example',
      kids: ['proxy'],
      endpoint: sidecar.url,
      retry: { deadline: 0 }
    }, own)
    const error = await provider.ready.catch((error: unknown) => error)
    await provider.close()
    return (error as { code?: unknown }).code === 'ERR_REMOTE' && own.lines.length === 1
  }), { numRuns: 100 })
})

t.test('raw reports, which may be fakes, are never asked for', async t => {
  const provider = await provide(t)
  await provider.ready
  t.same(sidecar.requests.map(({ path }) => path), ['/key/release'])
})

t.test('nothing secret was logged', async t => {
  t.ok(log.lines.length > 40)
  t.same(log.leaked([ACCESS_TOKEN, ...secretsOf(current.privateKey), ...secretsOf(previous.privateKey)]), [])
})
