/** The rings of replicas with more than one RSA key: which is published, what is accepted, and for how long. */
import { hkdfSync } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { createDerivedRings } from '../../../../lib/keys/hpke/derived-rings.ts'
import { createHpkeRing } from '../../../../lib/keys/hpke/ring.ts'
import type { HpkeRing } from '../../../../lib/keys/hpke/ring.ts'
import type { KeyProvider } from '../../../../lib/keys/provider.ts'
import { setupSender } from '../../../../sdk/ohttp/hpke-sender.ts'
import { KEM_X25519 } from '../../../../lib/protocols/ohttp/suites.ts'
import { decodeKeyConfigs } from '../../../../lib/protocols/ohttp/key-config.ts'
import { LABELS } from '../../../../lib/protocols/ohttp/ohttp.ts'

/** Ids of RSA keys, of which the first octet counts: 0, 128, and 1, which is one epoch from the first. */
const [OLD, NEW, CLOSE] = ['AAAAAAAAAAAAAAAA', 'gAAAAAAAAAAAAAAA', 'AQAAAAAAAAAAAAAA'] as const

interface Replica {
  readonly rings: HpkeRing
  listed: string[]
  retiring: string[]
  /** RSA keys that derive nothing at present. */
  readonly failing: Set<string>
  readonly clashes: (readonly string[])[]
}

function startReplica (t: Test, ...listed: string[]): Replica {
  const failing = new Set<string>()
  const clashes: (readonly string[])[] = []
  const keys: KeyProvider = {
    remote: false,
    ready: Promise.resolve(),
    status: () => ({ ready: true }),
    publicKeys: () => replica.listed.map(keyId => ({ keyId, algorithm: 'RSA-OAEP-256', pem: '' })),
    retiring: () => replica.retiring,
    unwrap: async () => new Uint8Array(),
    async deriveSecret (keyId, info, length) {
      if (failing.has(keyId)) throw new Error('not now')
      return new Uint8Array(hkdfSync('sha256', keyId, '', info, length))
    },
    refresh: async () => undefined,
    close: async () => undefined
  }
  const rings = createDerivedRings(keys,
    secrets => createHpkeRing({ rotation: 86_400_000, retirement: 1000, kemIds: [KEM_X25519], secrets }),
    keyIds => clashes.push(keyIds))
  t.teardown(() => rings.close())
  const replica: Replica = { rings, listed, retiring: [], failing, clashes }
  return replica
}

const idOf = ({ rings }: Replica) => decodeKeyConfigs(rings.publication().octets)[0]?.keyId

async function until (condition: () => boolean) {
  while (!condition()) await setTimeout(5)
}

/** Whether what is encrypted to the key that one replica publishes can be opened at the other. */
async function accepts (at: Replica, publisher: Replica) {
  const [config] = decodeKeyConfigs(publisher.rings.publication().octets)
  const [suite] = config!.suites
  const { header, enc } = await setupSender({ config: config!, suite: suite! }, LABELS)
  try {
    return Buffer.from(at.rings.decapsulate(header, enc)).equals(Buffer.from(publisher.rings.decapsulate(header, enc)))
  } catch (error) {
    t.match(error, { code: 'ERR_OHTTP_KEY' })
    return false
  }
}

t.test('each step of the change accepts what the step before and the one after publish', async t => {
  const steps = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]].map(listed => startReplica(t, ...listed))
  await Promise.all(steps.map(({ rings }) => rings.ready))
  for (const { rings, listed } of steps) {
    await until(() => rings.keys().filter(({ state }) => state === 'pending').length === listed.length)
  }
  for (const [i, at] of steps.entries()) {
    for (const [j, publisher] of steps.entries()) {
      if (Math.abs(i - j) <= 1) t.equal(await accepts(at, publisher), true, `${j} at ${i}`)
    }
  }
  t.equal(await accepts(steps[0]!, steps[3]!), false, 'what is not there is said to be unknown, not broken')
  t.equal(idOf(steps[0]!), idOf(steps[1]!))
  t.equal(idOf(steps[2]!), idOf(steps[3]!))
  t.same(steps[1]!.rings.keys().map(({ state }) => state).sort(), ['active', 'pending', 'pending', 'retiring'])
  t.same(steps.flatMap(({ clashes }) => clashes), [])
})

t.test('a replica that starts is ready once it accepts all that another may publish', async t => {
  const replica = startReplica(t, OLD, NEW)
  replica.failing.add(NEW)
  await until(() => replica.rings.keys().length === 2)
  await setTimeout(50)
  t.equal(replica.rings.isReady, false)
  t.throws(() => replica.rings.publication(), { code: 'ERR_OHTTP_KEY' })
  replica.failing.delete(NEW)
  await until(() => replica.rings.isReady)
  const other = startReplica(t, NEW)
  await other.rings.ready
  t.equal(await accepts(replica, other), true)
})

t.test('a key that derives nothing keeps a replica from starting only while it is there', async t => {
  const replica = startReplica(t, OLD, NEW)
  replica.failing.add(NEW)
  await until(() => replica.rings.keys().length === 2)
  t.equal(replica.rings.isReady, false)
  replica.listed = [OLD]
  await until(() => replica.rings.isReady)
})

t.test('a running replica follows its keys, and says so', async t => {
  const replica = startReplica(t, OLD)
  await replica.rings.ready
  const other = startReplica(t, NEW)
  await other.rings.ready
  let told = 0
  replica.rings.onRotation(() => { told++ })
  const before = idOf(replica)

  replica.listed = [OLD, NEW]
  await until(() => replica.rings.keys().length === 4)
  t.same([idOf(replica), told], [before, 0], 'a key behind the newest is not published')

  replica.listed = [NEW]
  replica.retiring = [OLD]
  await until(() => told === 1)
  t.equal(idOf(replica), idOf(other))
  t.equal(replica.rings.keys().length, 4, 'a key that is no longer listed is accepted as long as it still unwraps')
  replica.retiring = []
  await until(() => replica.rings.keys().length === 2)
})

t.test('a newest key that derives nothing yet leaves the one before in its place', async t => {
  const replica = startReplica(t, OLD)
  await replica.rings.ready
  const before = idOf(replica)
  replica.failing.add(NEW)
  replica.listed = [NEW, OLD]
  await setTimeout(700)
  t.same([idOf(replica), replica.rings.isReady], [before, true])
  replica.failing.clear()
  await until(() => idOf(replica) !== before)
})

t.test('the same if the one before is no longer listed: it goes once the newest is there', async t => {
  const replica = startReplica(t, OLD)
  const other = startReplica(t, NEW)
  await Promise.all([replica.rings.ready, other.rings.ready])
  const before = idOf(replica)
  replica.failing.add(NEW)
  replica.listed = [NEW]
  await setTimeout(700)
  t.same([idOf(replica), replica.rings.isReady], [before, true])
  replica.failing.clear()
  await until(() => idOf(replica) === idOf(other))
  t.equal(replica.rings.keys().every(({ state }) => state !== 'retiring'), true)
})

t.test('once closed there is nothing to encrypt to, and nothing to ask for', async t => {
  const { rings } = startReplica(t, OLD)
  await rings.ready
  rings.close()
  t.same([rings.isReady, rings.keys()], [false, []])
})

t.test('without keys there is nothing to encrypt to', async t => {
  const replica = startReplica(t)
  await setTimeout(50)
  t.same([replica.rings.isReady, replica.rings.keys()], [false, []])
  t.throws(() => replica.rings.publication(), { code: 'ERR_OHTTP_KEY' })
})

t.test('ids that meet are told once, and the published key goes on', async t => {
  const replica = startReplica(t, OLD, CLOSE)
  const alone = startReplica(t, OLD)
  await Promise.all([replica.rings.ready, alone.rings.ready])
  await until(() => replica.clashes.length > 0)
  await setTimeout(1200)
  t.same(replica.clashes, [[OLD, CLOSE]])
  t.equal(await accepts(replica, alone), true)
})
