/** The first replica writes the seed, all others adopt it, and whatever else the file may hold is refused. */
import { createHash, randomBytes } from 'node:crypto'
import { chmod, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openSealedSeed } from '../../../../lib/keys/hpke/sealed-seed.ts'
import { KeysBusyError } from '../../../../lib/keys/provider.ts'
import { fixedKey } from '../../../fixtures/proxy.ts'
import { rsaKey, wrap } from '../../../fixtures/rsa.ts'

const [key, other] = [rsaKey(), rsaKey()] as const
const [keys, otherKeys] = await Promise.all([fixedKey(key.privatePem), fixedKey(other.privatePem)])
t.teardown(() => Promise.all([keys.close(), otherKeys.close()]))

t.test('replicas that start at once agree on one seed, and so do those that come later', async t => {
  const directory = t.testdir()
  const path = join(directory, 'seed')
  const seeds = await Promise.all([1, 2, 3].map(() => openSealedSeed(path, keys)))
  seeds.push(await openSealedSeed(path, keys))
  t.equal(new Set(seeds.map(seed => Buffer.from(seed).toString('hex'))).size, 1)
  t.equal(seeds[0]?.length, 32)
  t.same(await readdir(directory), ['seed'], 'nothing else is left')
  t.equal((await stat(path)).mode & 0o777, 0o600)
})

t.test('the file holds the seed under the key alone', async t => {
  const path = join(t.testdir(), 'seed')
  const seed = await openSealedSeed(path, keys)
  const content = await readFile(path, 'utf8')
  t.match(JSON.parse(content), { keyId: key.keyId, seed: /^[\w+/]{342}==$/ })
  for (const encoding of ['hex', 'base64', 'base64url'] as const) {
    t.notMatch(content, Buffer.from(seed).toString(encoding))
  }
  t.same(await keys.unwrap(key.keyId, Buffer.from(JSON.parse(content).seed, 'base64')), seed)
})

t.test('a file that is none, or not for this key, is refused, and stays as it is', async t => {
  const file = (content: object) => JSON.stringify(content)
  const sealed = (octets: Uint8Array) => wrap(key.publicKey, octets).toString('base64')
  const cases: Record<string, string | Buffer> = {
    empty: '',
    garbage: randomBytes(300),
    'no object': '[]',
    null: 'null',
    'no seed': file({ keyId: key.keyId }),
    'no key id': file({ seed: sealed(randomBytes(32)) }),
    'no base64': file({ keyId: key.keyId, seed: '!' }),
    'of another key, by its name': file(
      { keyId: other.keyId, seed: wrap(other.publicKey, randomBytes(32)).toString('base64') }
    ),
    'of another key, by its content': file(
      { keyId: key.keyId, seed: wrap(other.publicKey, randomBytes(32)).toString('base64') }
    ),
    'a seed that is too short': file({ keyId: key.keyId, seed: sealed(randomBytes(31)) }),
    'a seed that is too long': file({ keyId: key.keyId, seed: sealed(randomBytes(33)) }),
    oversized: file({ keyId: key.keyId, seed: sealed(randomBytes(32)) }) + ' '.repeat(16 * 1024)
  }
  for (const [name, content] of Object.entries(cases)) {
    const path = join(t.testdir(), 'seed')
    await writeFile(path, content)
    await t.rejects(openSealedSeed(path, keys), { name: 'SealedSeedError', code: 'ERR_SEALED_SEED' }, name)
    t.same(await readFile(path), Buffer.from(content), name)
  }
})

t.test('a file that is pinned is the only one that will do, and none is made in its place', async t => {
  const directory = t.testdir()
  const path = join(directory, 'seed')
  const seed = await openSealedSeed(path, keys)
  const sha256 = createHash('sha256').update(await readFile(path)).digest('hex')
  t.same(await openSealedSeed(path, keys, sha256), seed)
  t.same(await openSealedSeed(path, keys, sha256.toUpperCase()), seed)

  // All that it takes to plant a seed: the public key, and a way to write there.
  const planted = JSON.stringify({ keyId: key.keyId, seed: wrap(key.publicKey, randomBytes(32)).toString('base64') })
  await writeFile(path, planted)
  await t.resolves(openSealedSeed(path, keys), 'without a pin it is accepted')
  await t.rejects(openSealedSeed(path, keys, sha256), { code: 'ERR_SEALED_SEED', message: /not the pinned one/ })
  t.equal(await readFile(path, 'utf8'), planted)
  await rm(path)
  await t.rejects(openSealedSeed(path, keys, sha256), { code: 'ERR_SEALED_SEED', message: /is missing/ })
  t.same(await readdir(directory), [])
})

t.test('a file of the largest size is read', async t => {
  const path = join(t.testdir(), 'seed')
  const seed = await openSealedSeed(path, keys)
  const content = await readFile(path, 'utf8')
  await writeFile(path, content.padEnd(16 * 1024))
  t.same(await openSealedSeed(path, keys), seed)
})

t.test('a file that is cut anywhere is refused', async t => {
  const path = join(t.testdir(), 'seed')
  await openSealedSeed(path, keys)
  const content = (await readFile(path)).subarray(0, -1)
  for (let length = 0; length < content.length; length++) {
    await writeFile(path, content.subarray(0, length))
    await t.rejects(openSealedSeed(path, keys), { code: 'ERR_SEALED_SEED' }, `${length} octets`)
  }
})

t.test('what the file system says is not taken for a file that is missing', async t => {
  const directory = t.testdir({ file: '' })
  await t.rejects(openSealedSeed(join(directory, 'file', 'seed'), keys), { code: 'ENOTDIR' })
  await t.rejects(openSealedSeed(join(directory, 'nowhere', 'seed'), keys), { code: 'ENOENT' })
  await t.rejects(openSealedSeed(directory, keys), { code: 'EISDIR' })
})

t.test('a key service that is busy says nothing about the file', async t => {
  const path = join(t.testdir(), 'seed')
  await openSealedSeed(path, keys)
  await t.rejects(
    openSealedSeed(path, { ...keys, unwrap: async () => { throw new KeysBusyError() } }), { code: 'ERR_KEYS_BUSY' }
  )
})

t.test('a file that nobody may read is not replaced', {
  skip: process.getuid?.() === 0 && 'root may read anything'
}, async t => {
  const path = join(t.testdir(), 'seed')
  await openSealedSeed(path, keys)
  await chmod(path, 0)
  await t.rejects(openSealedSeed(path, keys), { code: 'EACCES' })
})
