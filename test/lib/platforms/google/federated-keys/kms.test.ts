/** Keys in Google Cloud KMS: what it publishes and decrypts, and what happens when it is wrong, slow or away. */
import t from 'tap'
import { KeysBusyError, UnwrapError } from '../../../../../lib/keys/provider.ts'
import { wrap } from '../../../../fixtures/rsa.ts'
import { PLAINTEXT, federatedKeys, idOf, quick } from '../../../../fixtures/keys/google-kms.ts'

const { log, kms, sts, first, second, attested, provide, lastFailure } = await federatedKeys(t)

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
