/** Keys in Azure Key Vault: released or used in the vault, against a stand-in that can misbehave. */
import t from 'tap'
import { createAzureKeyVaultProvider } from '../../../../lib/platforms/azure/key-vault.ts'
import { KeysBusyError, UnwrapError } from '../../../../lib/keys/provider.ts'
import { createAuthority } from '../../../fixtures/certificates.ts'
import type { ReleaseParts, VaultFault } from '../../../fixtures/key-vault.ts'
import { secretsOf, wrap } from '../../../fixtures/rsa.ts'
import { oddAnswers } from '../../../fixtures/skr-sidecar.ts'
import { PLAINTEXT, quick, vaultKeys } from '../../../fixtures/keys/azure-key-vault.ts'

const { log, first, second, vault, identity, maa, tokens, provide, lastFailure } = await vaultKeys(t)

t.test('a released key is held in memory, and opens what is wrapped to it', async t => {
  for (const enc of ['RSA_AES_KEY_WRAP_256', 'RSA_AES_KEY_WRAP_384', 'CKM_RSA_AES_KEY_WRAP']) {
    vault.tamper = parts => { parts.enc = enc }
    const provider = await provide(t)
    await provider.ready
    t.same(provider.publicKeys(), [{ keyId: first.keyId, algorithm: 'RSA-OAEP-256', pem: first.publicPem }], enc)
    t.equal(Buffer.from(await provider.unwrap(first.keyId, wrap(first.publicKey, PLAINTEXT))).toString(), PLAINTEXT)
    t.equal((await provider.deriveSecret?.(first.keyId, 'label', 32))?.length, 32)
    t.equal(provider.remote, false)
  }
  t.same([...new Set(vault.requests)], ['POST /keys/proxy/release'])
  const wrappingKeys = tokens.map(
    token => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).keys[0]
  )
  t.equal(new Set(wrappingKeys.map(({ n }) => n)).size, 3, 'each release is encrypted to a key of its own')
  t.match(wrappingKeys[0], { kty: 'RSA', key_ops: ['encrypt'] })
})

t.test('a release that was tampered with is refused, at whatever step it shows', async t => {
  const stranger = createAuthority()
  const notYet = new Date(Date.now() + 60_000)
  const past = new Date(Date.now() - 60_000)
  const below = vault.root.intermediate('Not an authority', false)
  const sign = (
    parts: ReleaseParts, signer: ReleaseParts['signer'], ...chain: ReleaseParts['chain']
  ) => { Object.assign(parts, { signer, chain: [signer, ...chain] }) }
  const cases: Array<[name: string, tamper: (parts: ReleaseParts) => void, providerCode: string]> = [
    ['an untrusted authority', parts => sign(parts, stranger.issue(['localhost']), stranger), 'RELEASE_CERTIFICATE'],
    ['no chain to the authority', parts => { parts.chain = parts.chain.slice(0, 1) }, 'RELEASE_CERTIFICATE'],
    ['no certificates', parts => { parts.chain = [] }, 'RELEASE_CERTIFICATE'],
    ['certificates that are none', parts => { parts.header = { x5c: ['AAAA'] } }, 'RELEASE_SIGNATURE'],
    [
      'issued by what is no authority', parts => sign(parts, below.issue(['localhost']), below, vault.root),
      'RELEASE_CERTIFICATE'
    ],
    [
      'expired, or a clock that is ahead', parts => sign(parts, vault.root.issue(['localhost'], { notAfter: past })),
      'RELEASE_CERTIFICATE'
    ],
    [
      'not valid yet, or a clock that is behind',
      parts => sign(parts, vault.root.issue(['localhost'], { notBefore: notYet })), 'RELEASE_CERTIFICATE'
    ],
    [
      'a certificate for another host', parts => sign(parts, vault.root.issue(['other.vault.azure.net'])),
      'RELEASE_CERTIFICATE_HOST'
    ],
    ['another thumbprint', parts => { parts.header = { 'x5t#S256': 'AAAA' } }, 'RELEASE_CERTIFICATE'],
    ['another signature', parts => { parts.signer = vault.root.issue(['localhost']) }, 'RELEASE_SIGNATURE'],
    ['a symmetric signature', parts => { parts.header = { alg: 'HS256' } }, 'RELEASE_SIGNATURE'],
    ['no signature', parts => { parts.header = { alg: 'none' } }, 'RELEASE_SIGNATURE'],
    ['cut short', parts => { parts.finish = jws => jws.slice(0, -20) }, 'RELEASE_SIGNATURE'],
    ['no JWS', parts => { parts.finish = () => 'value' }, 'RELEASE_SIGNATURE'],
    ['another name', parts => { parts.kid = parts.kid.replace('proxy', 'other') }, 'RELEASE_KEY_NAME'],
    ['another nonce', parts => { parts.nonce = 'other' }, 'RELEASE_NONCE'],
    ['another algorithm', parts => { parts.enc = 'RSA1_5' }, 'RELEASE_FORMAT'],
    [
      'a damaged AES key', parts => { parts.change = c => Buffer.concat([Buffer.alloc(10), c.subarray(10)]) },
      'RELEASE_UNWRAP'
    ],
    ['a damaged key', parts => { parts.change = c => c.subarray(0, -8) }, 'RELEASE_UNWRAP'],
    ['nothing', parts => { parts.change = () => Buffer.alloc(0) }, 'RELEASE_UNWRAP'],
    ['another key than the public one', parts => { parts.key = second }, 'RELEASE_KEY_MISMATCH']
  ]
  for (const [name, tamper, providerCode] of cases) {
    vault.tamper = tamper
    const provider = await provide(t, { retry: { ...quick, deadline: 0 } })
    await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'refused', providerCode }, name)
    t.same(provider.publicKeys(), [], name)
  }
})

t.test('a vault that does not repeat the nonce is believed: the release is encrypted to a fresh key', async t => {
  vault.tamper = parts => { parts.nonce = undefined }
  await (await provide(t)).ready
})

t.test('in remote mode the vault decrypts', async t => {
  const provider = await provide(t, { mode: 'remote' })
  await provider.ready
  t.same(provider.publicKeys(), [{ keyId: first.keyId, algorithm: 'RSA-OAEP-256', pem: first.publicPem }])
  t.equal(Buffer.from(await provider.unwrap(first.keyId, wrap(first.publicKey, PLAINTEXT))).toString(), PLAINTEXT)
  t.equal(provider.remote, true)
  t.equal(provider.deriveSecret, undefined)
  await t.rejects(provider.unwrap(first.keyId, wrap(second.publicKey, PLAINTEXT)), UnwrapError)
  const requests = vault.requests.length
  await t.rejects(provider.unwrap(first.keyId, new Uint8Array(255)), UnwrapError)
  t.equal(vault.requests.length, requests, 'what cannot be a ciphertext is not sent')
  t.same([...new Set(vault.requests)], ['GET /keys/proxy', 'POST /keys/proxy/v1/decrypt'])
})

t.test('a key that may not decrypt ends the start in remote mode', async t => {
  vault.versions.set('v1', { key: first, enabled: true, operations: ['sign'] })
  const provider = await provide(t, { mode: 'remote' })
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'configuration', providerCode: 'KEY_UNUSABLE' })
})

t.test('release without attestation is bad configuration', async t => {
  const provider = await createAzureKeyVaultProvider({ vaultUrl: vault.url, key: 'proxy', retry: quick }, log)
  t.teardown(() => provider.close())
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'configuration', providerCode: 'NO_ATTESTATION' })
})

t.test('several versions are published newest first; a disabled older one is left out', async t => {
  vault.versions.set('v2', { key: second, enabled: true })
  for (const mode of ['release', 'remote'] as const) {
    vault.versions.set('v1', { key: first, enabled: true })
    const provider = await provide(t, { mode, versions: ['v2', 'v1'] })
    await provider.ready
    t.same(provider.publicKeys().map(({ keyId }) => keyId), [second.keyId, first.keyId], mode)
    for (const key of [first, second]) t.ok(await provider.unwrap(key.keyId, wrap(key.publicKey, PLAINTEXT)), mode)
    vault.versions.set('v1', { key: first, enabled: false })
    await provider.refresh()
    t.same(provider.publicKeys().map(({ keyId }) => keyId), [second.keyId], mode)
    t.match(lastFailure(), { level: 'warn', details: { version: 'v1', providerCode: 'KeyDisabled' } }, mode)
  }
})

t.test('what the vault refuses is told with its code and what to do, and the start goes on', async t => {
  const cases: Array<[fault: VaultFault | 'truncate', level: string, providerCode: string, message: RegExp]> = [
    [{ status: 400, code: 'BadParameter' }, 'error', 'BadParameter', /exportable/],
    [{ status: 401, code: 'Unauthorized' }, 'error', 'Unauthorized', /tenant/],
    [{ status: 403, code: 'Forbidden', inner: 'ForbiddenByPolicy' }, 'error', 'ForbiddenByPolicy', /role.*host data/],
    [{ status: 403, code: 'eyJhbGciOiJub25lIn0.e30.' }, 'error', 'HTTP_403', /role/],
    [{ status: 404, code: 'KeyNotFound' }, 'error', 'KeyNotFound', /name of the key/],
    [{ status: 500, code: 'InternalServerError' }, 'warn', 'InternalServerError', /not available/],
    [{ status: 503 }, 'warn', 'Error', /not available/],
    ['truncate', 'warn', 'CONNECTION', /unreachable/]
  ]
  for (const [fault, level, providerCode, message] of cases) {
    vault.faults.push(fault)
    const before = log.lines.length
    const provider = await provide(t, { mode: 'remote' })
    await provider.ready
    t.match(log.lines[before], { level, message, details: { providerCode, attempt: 1 } })
  }
})

t.test('a slow start is waited out: attestation, then the vault, failing first', async t => {
  maa.odd.push(oddAnswers.attestationFails, oddAnswers.twoDocuments, oddAnswers.emptyToken)
  vault.faults.push(...Array.from({ length: 10 }, () => ({ status: 403, code: 'Forbidden' })))
  const provider = await provide(t)
  await provider.ready
  t.equal(vault.requests.length, 11)
})

t.test('throttling is respected: the vault says for how long', async t => {
  const throttled = { status: 429, code: 'Throttled', retryAfter: 7 }
  vault.faults.push(throttled)
  const starting = await provide(t, { retry: { ...quick, deadline: 6000 } })
  await t.rejects(starting.ready, { code: 'ERR_REMOTE', providerCode: 'Throttled', retryAfter: 7 })

  const provider = await provide(t, { mode: 'remote' })
  await provider.ready
  vault.faults.push(throttled)
  const unwrap = () => provider.unwrap(first.keyId, wrap(first.publicKey, PLAINTEXT))
  await t.rejects(unwrap(), { code: 'ERR_KEYS_BUSY', retryAfter: 7 })
  const requests = vault.requests.length
  await t.rejects(unwrap(), KeysBusyError)
  t.equal(vault.requests.length, requests, 'nothing is sent meanwhile')
})

t.test('what hangs is given up, and what fails repeatedly opens the circuit', async t => {
  vault.faults.push('hang')
  const provider = await provide(
    t, { mode: 'remote', retry: { ...quick, attemptTimeout: 300 }, limits: { timeout: 300, failureThreshold: 2 } }
  )
  await provider.ready
  vault.faults.push('hang')
  const unwrap = () => provider.unwrap(first.keyId, wrap(first.publicKey, PLAINTEXT))
  await t.rejects(unwrap(), KeysBusyError)
  t.ok(await unwrap())
  vault.faults.push({ status: 500 }, { status: 500 })
  await t.rejects(unwrap(), KeysBusyError)
  await t.rejects(unwrap(), { code: 'ERR_KEYS_BUSY', retryAfter: 10 })
  t.match(lastFailure(), { details: { circuitOpen: true } })
})

t.test('an identity that is not assigned is told as such', async t => {
  const provider = await provide(t, { mode: 'remote', clientId: 'unknown', retry: { ...quick, deadline: 0 } })
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'refused' })
  t.match(lastFailure(), { level: 'error', message: /Assign the identity/ })
})

t.test('an identity that comes late is waited for, and a token that expires is replaced during the run', async t => {
  identity.lifetime = 1
  t.teardown(() => { identity.lifetime = 3600 })
  identity.faults.push(...Array(12).fill(500))
  const earlier = identity.issued.length
  const provider = await provide(t, { mode: 'remote', clientId: 'late' })
  await provider.ready
  t.match(log.lines.findLast(({ level }) => level === 'error'), { message: /Assign the identity/ })
  const before = identity.issued.length
  for (const expired of identity.issued.slice(earlier)) vault.tokens.delete(expired)
  t.ok(await provider.unwrap(first.keyId, wrap(first.publicKey, PLAINTEXT)))
  t.ok(identity.issued.length > before)
})

t.test('a version that does not exist is told as such, and so is another than was asked for', async t => {
  const missing = await provide(t, { versions: ['v9'], retry: { ...quick, deadline: 0 } })
  await t.rejects(missing.ready, { code: 'ERR_REMOTE', kind: 'refused', providerCode: 'KeyNotFound' })
  t.match(lastFailure(), { level: 'error', message: /version/ })
  vault.tamper = parts => { parts.kid = parts.kid.replace(/v1$/, 'v2') }
  const other = await provide(t, { versions: ['v1'], retry: { ...quick, deadline: 0 } })
  await t.rejects(other.ready, { code: 'ERR_REMOTE', providerCode: 'RELEASE_KEY_NAME' })
})

t.test('a server that cannot prove its name, or asks for a token for another domain, gets none', async t => {
  const issued = identity.issued.length
  const elsewhere = vault.url.replace('localhost', '127.0.0.1')
  const named = await provide(
    t, { mode: 'remote', vaultUrl: elsewhere, clientId: 'another', retry: { ...quick, deadline: 0 } }
  )
  await t.rejects(named.ready, { code: 'ERR_REMOTE', providerCode: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  const strict = await provide(
    t, { mode: 'remote', clientId: 'another', clientOptions: { tlsOptions: { ca: vault.ca } } }
  )
  await t.rejects(strict.ready, { code: 'ERR_REMOTE', kind: 'configuration', providerCode: 'CHALLENGE_RESOURCE' })
  const untrusting = await provide(
    t,
    { mode: 'remote', clientOptions: { disableChallengeResourceVerification: true }, retry: { ...quick, deadline: 0 } }
  )
  await t.rejects(untrusting.ready, { code: 'ERR_REMOTE', kind: 'refused' })
  t.match(lastFailure(), { message: /certificate/ })
  t.equal(identity.issued.length, issued)
})

t.test('a rotation under load fails no request', async t => {
  for (const mode of ['release', 'remote'] as const) {
    vault.versions.clear()
    vault.versions.set('v1', { key: first, enabled: true })
    const provider = await provide(t, { mode })
    await provider.ready
    let rotated: Promise<void> | undefined
    for (let i = 0; i < 30; i++) {
      if (i === 10) {
        vault.versions.clear()
        vault.versions.set('v2', { key: second, enabled: true }).set('v1', { key: first, enabled: true })
        rotated = provider.refresh()
      }
      if (i === 20) await rotated
      const [published] = provider.publicKeys()
      const opened = await Promise.all([
        provider.unwrap(published?.keyId ?? '', wrap(published?.pem ?? '', PLAINTEXT)),
        provider.unwrap(first.keyId, wrap(first.publicKey, PLAINTEXT))
      ])
      for (const octets of opened) t.equal(Buffer.from(octets).toString(), PLAINTEXT)
    }
    t.same(provider.publicKeys().map(({ keyId }) => keyId), [second.keyId], mode)
  }
})

t.test('nothing secret was logged', async t => {
  t.ok(log.lines.length > 40)
  const secrets = [
    PLAINTEXT, ...tokens, ...identity.issued, ...secretsOf(first.privateKey), ...secretsOf(second.privateKey)
  ]
  t.same(log.leaked(secrets), [])
})
