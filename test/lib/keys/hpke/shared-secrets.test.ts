/** Rings of several replicas have the same keys, whatever their clocks say, as long as these are not too far apart. */
import { createHash, hkdfSync } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import { deriveKemKeyPair } from '../../../../lib/hpke/kem.ts'
import { derivedSecrets, seededSecrets } from '../../../../lib/keys/hpke/epoch-secrets.ts'
import { createHpkeRing } from '../../../../lib/keys/hpke/ring.ts'
import type { EpochSecrets } from '../../../../lib/keys/hpke/ring.ts'
import { memoryKey } from '../../../../lib/keys/rsa/memory-key.ts'
import type { KeyProvider } from '../../../../lib/keys/provider.ts'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../../../../lib/protocols/ohttp/suites.ts'
import { setupSender } from '../../../../sdk/ohttp/hpke-sender.ts'
import { decodeKeyConfigs } from '../../../../lib/protocols/ohttp/key-config.ts'
import { LABELS } from '../../../../lib/protocols/ohttp/ohttp.ts'
import { rsaKey } from '../../../fixtures/rsa.ts'

const ROTATION = 1_000_000
const RETIREMENT = 100_000

const rsa = rsaKey()
const version = await memoryKey(rsa.privateKey, () => undefined, { concurrency: 1 })
t.teardown(() => version.close())

const keys: KeyProvider = {
  remote: false,
  ready: Promise.resolve(),
  status: () => ({ ready: true }),
  publicKeys: () => [version.published],
  unwrap: (_keyId, wrapped) => version.unwrap(wrapped),
  deriveSecret: (_keyId, info, length) => version.deriveSecret!(info, length),
  refresh: async () => undefined,
  close: async () => undefined
}
const seed = new Uint8Array(32).fill(7)

async function ringAt (t: Test, secrets: EpochSecrets, time: number, kemIds: readonly number[] = [KEM_X25519]) {
  const ring = createHpkeRing({ rotation: ROTATION, retirement: RETIREMENT, kemIds, secrets, now: () => time })
  t.teardown(() => ring.close())
  await ring.ready
  // The pending keys come behind the active ones.
  while (ring.keys().every(({ state }) => state !== 'pending')) await new Promise(resolve => setImmediate(resolve))
  return ring
}

const sources: Record<string, () => EpochSecrets> = {
  derived: () => derivedSecrets(keys, version.published.keyId), seeded: () => seededSecrets(async () => seed)
}
for (const [name, secrets] of Object.entries(sources)) {
  t.test(`${name}: what is encrypted to the key of one replica opens at any other whose clock is less than the ` +
    'retirement off', async t => {
    const boundary = 1_700_000 * ROTATION
    for (const middle of [boundary - 1, boundary, boundary + RETIREMENT / 2, boundary + ROTATION / 2]) {
      const clocks = [-RETIREMENT / 2 + 1, 0, RETIREMENT / 2 - 1].map(skew => middle + skew)
      const rings = await Promise.all(clocks.map(time => ringAt(t, secrets(), time)))
      for (const publisher of rings) {
        const [config] = decodeKeyConfigs(publisher.publication().octets)
        const [suite] = config!.suites
        const { header, enc } = await setupSender({ config: config!, suite: suite! }, LABELS)
        t.equal(
          new Set(rings.map(ring => Buffer.from(ring.decapsulate(header, enc)).toString('hex'))).size, 1, `${middle}`
        )
      }
    }
  })
}

t.test('the construction is the one of docs/keys-derivation.md', async t => {
  const epoch = 1234
  const info = `polaris-secure-proxy hpke keys v1 epoch ${epoch}`
  const pkcs1 = rsa.privateKey.export({ format: 'der', type: 'pkcs1' })
  t.equal(
    derivedSecrets(keys, version.published.keyId).firstKeyId,
    createHash('sha256').update(rsa.publicKey.export({ format: 'der', type: 'spki' })).digest()[0]
  )
  const expected: Array<[EpochSecrets, ArrayBuffer]> = [
    [
      derivedSecrets(keys, version.published.keyId),
      hkdfSync('sha256', pkcs1, 'polaris-secure-proxy derived secrets v1', info, 32)
    ],
    [seededSecrets(async () => seed), hkdfSync('sha256', seed, '', info, 32)]
  ]
  for (const [secrets, secret] of expected) {
    t.same(Buffer.from(await secrets.secret(epoch)), Buffer.from(secret))
    const ring = await ringAt(t, secrets, (epoch + 0.5) * ROTATION, [KEM_MLKEM768_X25519, KEM_X25519])
    const active = ring.keys().filter(({ state }) => state === 'active')
    t.same(active.map(({ keyId }) => keyId), [0, 1].map(position => (secrets.firstKeyId + 2 * epoch + position) % 256))
    for (const { kemId, publicKey } of active) {
      t.same(publicKey, deriveKemKeyPair(kemId, new Uint8Array(secret)).publicKey)
    }
  }
})

t.test('a seed that could not be opened is asked for again, and one that was is not', async t => {
  let asked = 0
  const secrets = seededSecrets(async () => {
    if (asked++ === 0) throw new Error('not now')
    return seed
  })
  await t.rejects(Promise.resolve(secrets.secret(1)), { message: 'not now' })
  await secrets.secret(1)
  await secrets.secret(2)
  t.equal(asked, 2)
})
