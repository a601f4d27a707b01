/** The TLS keys of an instance: covered before they serve and after, the same where secrets are the same. */
import { hkdfSync } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { createRatchet } from '../../../lib/keys/hpke/epoch-secrets.ts'
import type { EpochSecrets } from '../../../lib/keys/hpke/ring.ts'
import { createTlsRing } from '../../../lib/tls/ring.ts'
import { tlsKeyFrom } from '../../../lib/tls/secrets.ts'
import type { TlsSource } from '../../../lib/tls/secrets.ts'

const ROTATION = 1000_000
const OVERLAP = 10_000
const seed = Buffer.alloc(32, 7)
const anyTime = (secret: string): EpochSecrets => ({
  earliest: undefined,
  firstKeyId: 0,
  secret: epoch => new Uint8Array(hkdfSync('sha256', secret, '', String(epoch), 32))
})

function start (t: Test, {
  at = 5.5 * ROTATION, sources = () => [{ id: '', secrets: createRatchet({ epoch: 0, seed }) }], covers = true
}: { at?: number, sources?: () => readonly TlsSource[], covers?: boolean } = {}) {
  const state = { now: at, covers, changes: 0, errors: [] as unknown[], served: [] as string[] }
  const fixed = sources
  const ring = createTlsRing({
    rotation: ROTATION,
    overlap: OVERLAP,
    names: ['localhost'],
    sources: fixed,
    now: () => state.now,
    onError: error => state.errors.push(error),
    onServe: pin => state.served.push(pin)
  })
  ring.onChange(() => { state.changes++ })
  ring.start(() => state.covers)
  t.teardown(() => ring.close())
  return { ring, state }
}

async function until (condition: () => boolean) {
  while (!condition()) await setTimeout(10)
}

const states = ({ ring }: ReturnType<typeof start>) => ring.keys().map(({ state }) => state)

t.test('a key is covered before it serves, and until a while after the next has taken its place', async t => {
  const source = [{ id: '', secrets: createRatchet({ epoch: 5, seed }) }]
  const replica = start(t, { sources: () => source })
  const { ring, state } = replica
  await until(() => ring.current() !== undefined)
  t.same(states(replica), ['active'])
  t.equal(ring.attested().length, 1)
  const first = ring.current()?.pin

  state.now = 6 * ROTATION - OVERLAP + 1
  await until(() => ring.keys().length === 2)
  t.same(states(replica), ['active', 'pending'])
  t.equal(ring.current()?.pin, first, 'not before its time')
  const second = ring.keys()[1]?.pin

  state.covers = false
  state.now = 6 * ROTATION + 1
  await setTimeout(600)
  t.equal(ring.current()?.pin, first, 'nor before evidence covers it')
  state.covers = true
  await until(() => ring.current()?.pin === second)
  t.same(states(replica), ['active', 'retiring'])
  t.same(ring.keys().map(({ pin }) => pin), [second, first], 'the one that serves first')

  state.now += OVERLAP + 1
  await until(() => ring.keys().length === 1)
  t.same(state.served, [first, second])
  t.equal(state.changes, 3)
  t.same(state.errors, [])
})

t.test('nothing serves while no evidence covers it, and the reason is told', async t => {
  const { ring, state } = start(t, { covers: false })
  await until(() => ring.keys().length === 1)
  t.equal(ring.current(), undefined)
  t.match(ring.problem(), 'waiting for evidence')
  state.covers = true
  await until(() => ring.current() !== undefined)
  t.equal(ring.problem(), undefined)
})

t.test('replicas and workers with the same secrets have the same keys, those that start later too', async t => {
  const ratchet = createRatchet({ epoch: 4, seed })
  const ofWorker = () => {
    const state = ratchet.stateAt(4)
    const sources = [{ id: '', secrets: createRatchet(state) }]
    return () => sources
  }
  const at = 5 * ROTATION + 1
  const [one, other] = [start(t, { at, sources: ofWorker() }), start(t, { at, sources: ofWorker() })]
  await until(() => [one, other].every(({ ring }) => ring.keys().length === 2))
  t.same(one.ring.keys().map(({ pin }) => pin).toSorted(), other.ring.keys().map(({ pin }) => pin).toSorted())
  t.equal(one.ring.current()?.pin, other.ring.current()?.pin)
  t.same(states(one), ['active', 'retiring'], 'the one before is covered as long as others may have served it')
  const another = start(t, { at, sources: () => [{ id: '', secrets: anyTime('another') }] })
  await until(() => another.ring.current() !== undefined)
  t.not(another.ring.current()?.pin, one.ring.current()?.pin)
})

t.test('with a new RSA key the keys of both are covered, and that of the newest serves', async t => {
  const [old, newer] = [{ id: 'old', secrets: anyTime('old') }, { id: 'new', secrets: anyTime('new') }]
  let sources = [old]
  const { ring } = start(t, { sources: () => sources })
  await until(() => ring.current() !== undefined)
  const first = ring.current()?.pin
  sources = [old, newer]
  await until(() => ring.attested().length === 2)
  t.equal(ring.current()?.pin, first)
  sources = [newer, old]
  await until(() => ring.current()?.pin !== first)
  sources = [newer]
  await setTimeout(600)
  t.equal(ring.attested().length, 2, 'connections that the old one began live on')
})

t.test('a clock that is set back changes nothing', async t => {
  const source = [{ id: '', secrets: createRatchet({ epoch: 5, seed }) }]
  const { ring, state } = start(t, { sources: () => source })
  await until(() => ring.current() !== undefined)
  const { pin } = ring.current()!
  state.now = 2 * ROTATION
  await setTimeout(600)
  t.equal(ring.current()?.pin, pin)
  t.same(state.errors, [])
})

t.test('a key that cannot be made is tried again', async t => {
  let fails = true
  const secrets: EpochSecrets = {
    ...anyTime('x'),
    async secret (epoch) {
      if (fails) throw new Error('not now')
      return anyTime('x').secret(epoch)
    }
  }
  const { ring, state } = start(t, { sources: () => [{ id: '', secrets }] })
  await until(() => state.errors.length > 0)
  t.match(ring.problem(), 'could not be made')
  fails = false
  await until(() => ring.current() !== undefined)
  t.equal(state.errors.length, 1)
})

t.test('keys are on the curve, and differ with each bit of the secret', async t => {
  const pins = new Set<string>()
  for (let i = 0; i < 64; i++) {
    const secret = Buffer.alloc(32, i)
    const key = tlsKeyFrom(secret)
    t.equal(key.asymmetricKeyDetails?.namedCurve, 'prime256v1')
    pins.add(key.export({ format: 'der', type: 'pkcs8' }).toString('hex'))
    t.same(tlsKeyFrom(secret).export({ format: 'jwk' }), key.export({ format: 'jwk' }))
  }
  t.equal(pins.size, 64)
})
