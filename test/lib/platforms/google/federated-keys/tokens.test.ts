/** The tokens for keys in Google Cloud KMS, by federated identity: attestation, exchange, expiry, and each refusal. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { GoogleFederatedOptions } from '../../../../../lib/platforms/google/federated-keys.ts'
import { KeysBusyError } from '../../../../../lib/keys/provider.ts'
import { createAuthority } from '../../../../fixtures/certificates.ts'
import { wrap } from '../../../../fixtures/rsa.ts'
import { attestationToken, startSts } from '../../../../fixtures/sts.ts'
import type { StsFault } from '../../../../fixtures/sts.ts'
import { PLAINTEXT, federatedKeys, idOf, quick } from '../../../../fixtures/keys/google-kms.ts'

const { dir, tokenFile, log, kms, sts, first, attested, attest, provide, lastFailure } = await federatedKeys(t)

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

t.test('nothing secret was logged', async t => {
  t.ok(log.lines.length > 30)
  t.same(log.leaked([PLAINTEXT, ...attested, ...sts.issued, ...attested.flatMap(token => token.split('.'))]), [])
})
