/** Private-key operations on the thread pool: order, limits, failure, and an end that wipes the key. */
import { constants, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { KeysBusyError, UnwrapError } from '../../../../lib/keys/provider.ts'
import { createRsaPool } from '../../../../lib/keys/rsa/pool.ts'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const der = () => privateKey.export({ format: 'der', type: 'pkcs8' })

function wrap (secret: Uint8Array, oaepHash = 'sha256'): Buffer {
  return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, secret)
}

t.test('what was wrapped to the key is unwrapped, each for whoever asked, also when most have to wait', async t => {
  const pool = await createRsaPool(der(), { concurrency: 2 })
  const secrets = Array.from({ length: 40 }, (_, i) => randomBytes(i))
  const opened = await Promise.all(secrets.map(secret => pool.unwrap(wrap(secret))))
  t.same(opened.map(key => Buffer.from(key)), secrets)
  t.equal(pool.pending, 0)
})

t.test('whatever cannot be opened is an UnwrapError that says nothing about why', async t => {
  const pool = await createRsaPool(der())
  const good = wrap(randomBytes(32))
  const flipped = Buffer.from(good)
  flipped.writeUInt8(flipped.readUInt8(100) ^ 1, 100)
  const cases: Record<string, Uint8Array> = {
    empty: new Uint8Array(0),
    'an octet short': good.subarray(1),
    'an octet long': Buffer.concat([good, Buffer.of(0)]),
    'twice as long': Buffer.concat([good, good]),
    zeros: new Uint8Array(256),
    'larger than the modulus': new Uint8Array(256).fill(255),
    'a bit flipped': flipped,
    'OAEP with SHA-1': wrap(randomBytes(32), 'sha1')
  }
  for (const [name, wrapped] of Object.entries(cases)) {
    const error = await pool.unwrap(wrapped).catch((error: unknown) => error)
    t.type(error, UnwrapError, name)
    t.equal((error as Error).message, 'The wrapped key cannot be opened', name)
  }
  t.same(await pool.unwrap(good), await pool.unwrap(good), 'and the key still works')
})

t.test('more waiting operations than allowed are refused at once, and the others are served', async t => {
  const pool = await createRsaPool(der(), { concurrency: 1, maxPending: 2 })
  const wrapped = wrap(Buffer.from('secret'))
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => pool.unwrap(wrapped)))
  t.same(results.map(({ status }) => status), ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'])
  const refused = results[4]
  t.ok(refused?.status === 'rejected' && refused.reason instanceof KeysBusyError && refused.reason.retryAfter === 1)
  t.equal(Buffer.from(await pool.unwrap(wrapped)).toString(), 'secret', 'room again')
})

t.test('a failure gives its place to the next', async t => {
  const pool = await createRsaPool(der(), { concurrency: 1 })
  const wrapped = wrap(Buffer.from('secret'))
  const results = await Promise.allSettled(
    [new Uint8Array(256), wrapped, new Uint8Array(256), wrapped].map(w => pool.unwrap(w))
  )
  t.same(results.map(({ status }) => status), ['rejected', 'fulfilled', 'rejected', 'fulfilled'])
})

t.test('the event loop turns while operations run', async t => {
  const pool = await createRsaPool(der())
  const wrapped = wrap(randomBytes(32))
  const work = Array.from({ length: 200 }, () => pool.unwrap(wrapped))
  let turns = 0
  while (pool.pending > 0) {
    await setImmediate()
    turns++
  }
  await Promise.all(work)
  t.ok(turns > 100, `${turns} turns of the loop during 200 operations`)
})

t.test('closing finishes what was accepted and refuses the rest', async t => {
  const pool = await createRsaPool(der(), { concurrency: 1 })
  const wrapped = wrap(Buffer.from('secret'))
  const accepted = [pool.unwrap(wrapped), pool.unwrap(wrapped), pool.unwrap(wrapped)]
  t.equal(pool.pending, 3)
  pool.close()
  await t.rejects(pool.unwrap(wrapped), KeysBusyError)
  t.equal((await Promise.all(accepted)).length, 3)
  await t.rejects(pool.unwrap(wrapped), KeysBusyError)
})

t.test('the imported octets are wiped, whether they were a key or not', async t => {
  const good = der()
  await createRsaPool(good)
  t.ok(good.every(octet => octet === 0))

  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'der', type: 'pkcs8' })
  await t.rejects(createRsaPool(ec), TypeError)
  t.ok(ec.every(octet => octet === 0))
})

t.test('a key too short to be safe is refused', async t => {
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'der', type: 'pkcs8' })
  await t.rejects(createRsaPool(short), RangeError)
})
