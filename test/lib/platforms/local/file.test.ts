/** Keys from files: every form, replacement while they are in use, and reasons for what is refused. */
import { generateKeyPairSync, hkdfSync } from 'node:crypto'
import { chmod, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { createFileProvider, unusableFiles } from '../../../../lib/platforms/local/file-keys.ts'
import { KeysBusyError } from '../../../../lib/keys/provider.ts'
import { createLog } from '../../../fixtures/log.ts'
import { rsaKey, secretsOf, wrap } from '../../../fixtures/rsa.ts'

const [first, second, third] = [rsaKey(), rsaKey(), rsaKey()] as const
const log = createLog()
const options = { retry: { firstDelay: 1, maxDelay: 1, deadline: 0 }, pollInterval: 5, concurrency: 1 }

const jwk = (key: typeof first) => key.privateKey.export({ format: 'jwk' })
const idsOf = (provider: ReturnType<typeof createFileProvider>) => provider.publicKeys().map(({ keyId }) => keyId)

t.test('keys are read in every form, newest first, and each opens what is wrapped to it', async t => {
  const pkcs1 = first.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString()
  const cases: Record<string, { text: string, keys: Array<typeof first> }> = {
    'PKCS#8': { text: first.privatePem, keys: [first] },
    'PKCS#1': { text: pkcs1, keys: [first] },
    'several PEM blocks, text between them': {
      text: `newest\n${second.privatePem}\nolder\n${first.privatePem}`, keys: [second, first]
    },
    'CRLF line ends': { text: first.privatePem.replaceAll('\n', '\r\n'), keys: [first] },
    JWK: { text: JSON.stringify(jwk(first)), keys: [first] },
    'JWK Set': { text: JSON.stringify({ keys: [jwk(second), jwk(first)] }), keys: [second, first] },
    'the same key twice': { text: first.privatePem + pkcs1, keys: [first] }
  }
  for (const [name, { text, keys }] of Object.entries(cases)) {
    const path = join(t.testdir(), 'key')
    await writeFile(path, text, { mode: 0o400 })
    const provider = await createFileProvider({ ...options, paths: [path] }, log)
    await provider.ready
    t.same(
      provider.publicKeys(), keys.map(({ keyId, publicPem }) => ({ keyId, algorithm: 'RSA-OAEP-256', pem: publicPem })),
      name
    )
    for (const { keyId, publicKey } of keys) {
      t.equal(Buffer.from(await provider.unwrap(keyId, wrap(publicKey, 'secret'))).toString(), 'secret', name)
    }
    await provider.close()
  }
})

t.test('several files are several versions', async t => {
  const dir = t.testdir()
  const paths = [join(dir, 'new'), join(dir, 'old')]
  await writeFile(join(dir, 'new'), second.privatePem, { mode: 0o600 })
  await writeFile(join(dir, 'old'), first.privatePem, { mode: 0o640 })
  const provider = createFileProvider({ ...options, paths }, log)
  await provider.ready
  t.same(idsOf(provider), [second.keyId, first.keyId])
  await provider.close()
})

t.test('a file that is open to everyone, or holds no usable key, is refused with the reason', async t => {
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({
    format: 'pem', type: 'pkcs8'
  }).toString()
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    format: 'pem', type: 'pkcs8'
  }).toString()
  const encrypted = first.privateKey.export(
    { format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' }
  ).toString()
  const { p, ...partial } = jwk(first)
  const cases: Array<[name: string, text: string, mode: number, providerCode: string]> = [
    ['world-readable', first.privatePem, 0o644, 'WORLD_READABLE'],
    ['world-writable', first.privatePem, 0o602, 'WORLD_READABLE'],
    ['empty', '', 0o600, 'UNPARSABLE'],
    ['a public key', first.publicPem, 0o600, 'UNPARSABLE'],
    ['truncated PEM', first.privatePem.slice(0, 900), 0o600, 'UNPARSABLE'],
    ['damaged PEM', first.privatePem.replace(/[A-Z]{3}/, '!!!'), 0o600, 'UNPARSABLE'],
    ['encrypted PEM', encrypted, 0o600, 'UNPARSABLE'],
    ['truncated JSON', JSON.stringify(jwk(first)).slice(0, -9), 0o600, 'UNPARSABLE'],
    ['a JWK without one of its primes', JSON.stringify(partial), 0o600, 'UNPARSABLE'],
    ['a JWK that mixes two keys', JSON.stringify({ ...jwk(first), n: jwk(second).n }), 0o600, 'KEY_UNUSABLE'],
    ['a JWK Set that is none', '{"keys":[null]}', 0o600, 'UNPARSABLE'],
    ['1024 bits', short, 0o600, 'KEY_UNUSABLE'],
    ['an elliptic curve', ec, 0o600, 'KEY_UNUSABLE'],
    ['too large', first.privatePem + ' '.repeat(256 * 1024), 0o600, 'TOO_LARGE']
  ]
  for (const [name, text, mode, providerCode] of cases) {
    const path = join(t.testdir(), 'key')
    await writeFile(path, text)
    await chmod(path, mode)
    const provider = createFileProvider({ ...options, pollInterval: 60_000, paths: [path] }, log)
    await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'configuration', providerCode }, name)
    const status = provider.status()
    t.ok(!status.ready && status.reason.length > 0, name)
    t.same(provider.publicKeys(), [], name)
    await t.rejects(provider.unwrap(first.keyId, wrap(first.publicKey, 'x')), KeysBusyError, name)
    await provider.close()
  }
})

t.test('more keys than evidence can cover are named at start', async t => {
  const pems = Array.from(
    { length: 15 },
    () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  )
  const folder = t.testdir({ many: pems.join(''), most: pems.slice(1).join('') })
  for (const name of ['many', 'most']) await chmod(join(folder, name), 0o600)
  t.match(
    await unusableFiles([join(folder, 'many')]),
    [/POLARIS_CONTAINER_KEY_FILE: The key files hold 15 keys, at most 14 can be attested .* Remove the oldest keys/]
  )
  t.same(await unusableFiles([join(folder, 'most')]), [])
})

t.test('a file that is not there yet is waited for', async t => {
  const path = join(t.testdir(), 'key')
  const provider = createFileProvider({ ...options, retry: { firstDelay: 1, maxDelay: 2 }, paths: [path] }, log)
  const absent = { ready: false, reason: `The key file ${path} cannot be read` }
  while (!isDeepStrictEqual(provider.status(), absent)) await new Promise(resolve => setTimeout(resolve, 5))
  await writeFile(path, first.privatePem, { mode: 0o400 })
  await provider.ready
  t.same(idsOf(provider), [first.keyId])
  await provider.close()
})

t.test('a replaced file is loaded without a failed unwrap, also through the links of a mounted secret', async t => {
  const dir = t.testdir({ v1: {}, v2: {} })
  await writeFile(join(dir, 'v1', 'key'), first.privatePem, { mode: 0o440 })
  await writeFile(join(dir, 'v2', 'key'), second.privatePem, { mode: 0o440 })
  await symlink('v1', join(dir, 'data'))
  await symlink(join('data', 'key'), join(dir, 'key'))
  const provider = createFileProvider({ ...options, paths: [join(dir, 'key')] }, log)
  await provider.ready

  let unwraps = 0
  let swapped = false
  while (idsOf(provider)[0] !== second.keyId || unwraps < 50) {
    const opened = await Promise.all(
      [first, first].map(({ keyId, publicKey }) => provider.unwrap(keyId, wrap(publicKey, 'secret')))
    )
    unwraps += opened.length
    if (unwraps >= 20 && !swapped) {
      swapped = true
      await symlink('v2', join(dir, 'data-new'))
      await rename(join(dir, 'data-new'), join(dir, 'data'))
    }
  }
  t.same(idsOf(provider), [second.keyId])
  t.ok(await provider.unwrap(first.keyId, wrap(first.publicKey, 'secret')), 'those who hold the old key are served')
  t.ok(await provider.unwrap(second.keyId, wrap(second.publicKey, 'secret')))
  await provider.close()
})

t.test('a half-written replacement leaves the old key in use until it is whole', async t => {
  const path = join(t.testdir(), 'key')
  await writeFile(path, first.privatePem, { mode: 0o600 })
  const ownLog = createLog()
  const provider = createFileProvider({ ...options, paths: [path] }, ownLog)
  await provider.ready
  await writeFile(path, third.privatePem.slice(0, 500))
  while (!ownLog.lines.some(({ level }) => level === 'error')) await new Promise(resolve => setTimeout(resolve, 5))
  t.same(idsOf(provider), [first.keyId])
  await writeFile(path, third.privatePem)
  while (idsOf(provider)[0] !== third.keyId) await new Promise(resolve => setTimeout(resolve, 5))
  t.same(ownLog.leaked(secretsOf(third.privateKey)), [])
  await provider.close()
})

t.test('derived secrets depend on key, info and length alone, as documented', async t => {
  const path = join(t.testdir(), 'key')
  await writeFile(path, first.privatePem, { mode: 0o400 })
  const [one, two] = await Promise.all([1, 2].map(async () => {
    const provider = createFileProvider({ ...options, paths: [path] }, log)
    await provider.ready
    return provider
  }))
  const derive = (provider: typeof one, info: string, length: number) => provider?.deriveSecret?.(
    first.keyId, info, length
  )
  const secret = await derive(one, 'label 1', 32)
  t.same(await derive(two, 'label 1', 32), secret)
  t.notSame(await derive(one, 'label 2', 32), secret)
  const pkcs1 = first.privateKey.export({ format: 'der', type: 'pkcs1' })
  const expected = hkdfSync('sha256', pkcs1, 'polaris-secure-proxy derived secrets v1', 'label 1', 64)
  t.same(await derive(one, 'label 1', 64), new Uint8Array(expected))
  await Promise.all([one?.close(), two?.close()])
})

t.test('nothing secret was logged', async t => {
  t.ok(log.lines.length > 20)
  t.same(log.leaked([first, second, third].flatMap(({ privateKey }) => secretsOf(privateKey))), [])
})
