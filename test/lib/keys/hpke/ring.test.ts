/** The HPKE keys of the gateway over time, by a clock that the test turns. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import { createRatchet } from '../../../../lib/keys/hpke/epoch-secrets.ts'
import { createHpkeRing } from '../../../../lib/keys/hpke/ring.ts'
import type { EpochSecrets, HpkeRing, HpkeRingOptions } from '../../../../lib/keys/hpke/ring.ts'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../../../../lib/protocols/ohttp/suites.ts'
import { setupSender } from '../../../../sdk/ohttp/hpke-sender.ts'
import { decodeKeyConfigs } from '../../../../lib/protocols/ohttp/key-config.ts'
import type { KeyConfig } from '../../../../lib/protocols/ohttp/key-config.ts'
import { LABELS, OhttpError } from '../../../../lib/protocols/ohttp/ohttp.ts'

const ROTATION = 1_000_000
const RETIREMENT = 250_000
/** In the middle of an epoch. */
const START = 7 * ROTATION + ROTATION / 2

interface Turned {
  readonly ring: HpkeRing
  /** Sets the clock, and lets the ring's timer see it. */
  turn (time: number): Promise<void>
  readonly errors: unknown[]
  /** The delays that the ring asked timers for. */
  readonly delays: number[]
}

/** A ring whose timers fire when the test says. */
async function ringAt (t: Test, options: Partial<HpkeRingOptions> = {}, start = START): Promise<Turned> {
  let time = start
  const errors: unknown[] = []
  const delays: number[] = []
  let due: (() => void) | undefined
  t.intercept(globalThis, 'setTimeout', {
    value: (run: () => void, delay: number) => {
      due = run
      delays.push(delay)
      return { unref () { return this }, ref () { return this } }
    }
  })
  t.intercept(globalThis, 'clearTimeout', { value: () => { due = undefined } })
  const ring = createHpkeRing({
    rotation: ROTATION,
    retirement: RETIREMENT,
    kemIds: [KEM_X25519],
    secrets: createRatchet(
      { epoch: options.rotation === 0 ? 0 : Math.floor(start / ROTATION), seed: randomBytes(32) }
    ),
    now: () => time,
    onError: error => errors.push(error),
    ...options
  })
  t.teardown(() => ring.close())
  await settled()
  return {
    ring,
    errors,
    delays,
    async turn (to) {
      time = to
      const run = due
      due = undefined
      run?.()
      await settled()
    }
  }
}

/** Time for promises to be followed. */
const settled = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

const states = (ring: HpkeRing) => ring.keys().map(({ keyId, state }) => `${keyId} ${state}`)

/** What a client that holds this configuration sends. */
async function encapsulated (config: KeyConfig) {
  const [suite] = config.suites
  if (suite === undefined) throw new Error('no suite')
  const { header, enc } = await setupSender({ config, suite }, LABELS)
  return { header, enc }
}

function published (ring: HpkeRing): KeyConfig {
  const [config] = decodeKeyConfigs(ring.publication().octets)
  if (config === undefined) throw new Error('no key')
  return config
}

const unknownKey = { name: 'OhttpError', code: 'ERR_OHTTP_KEY' }

t.test('a key is pending, then active, then retiring, then gone', async t => {
  const { ring, turn } = await ringAt(t)
  t.strictSame(states(ring), ['7 active', '8 pending'])
  t.strictSame(ring.keys().map(({ notBefore, notAfter }) => [notBefore, notAfter]), [
    [7 * ROTATION, 8 * ROTATION + RETIREMENT], [8 * ROTATION, 9 * ROTATION + RETIREMENT]
  ])
  const before = published(ring)
  t.equal(before.keyId, 7)
  const request = await encapsulated(before)
  t.equal(ring.decapsulate(request.header, request.enc).length, 32)

  await turn(8 * ROTATION)
  t.strictSame(states(ring), ['8 active', '9 pending', '7 retiring'])
  t.equal(published(ring).keyId, 8)
  t.equal(ring.decapsulate(request.header, request.enc).length, 32, 'usable while it retires')

  await turn(8 * ROTATION + RETIREMENT - 1)
  t.equal(ring.decapsulate(request.header, request.enc).length, 32, 'to the last moment')
  await turn(8 * ROTATION + RETIREMENT)
  t.strictSame(states(ring), ['8 active', '9 pending'])
  t.throws(() => ring.decapsulate(request.header, request.enc), unknownKey)
})

t.test('a retired key is refused on time, although the timer is late', async t => {
  let time = START
  const { ring, turn } = await ringAt(t, { now: () => time })
  const request = await encapsulated(published(ring))
  time = 8 * ROTATION
  await turn(time)
  time = 8 * ROTATION + RETIREMENT
  t.throws(() => ring.decapsulate(request.header, request.enc), unknownKey)
  t.strictSame(states(ring), ['8 active', '9 pending'])
})

t.test('the key that was pending is the one that becomes active', async t => {
  const { ring, turn } = await ringAt(t)
  const pending = ring.keys().find(({ state }) => state === 'pending')
  await turn(8 * ROTATION)
  t.strictSame(Buffer.from(published(ring).publicKey), Buffer.from(pending?.publicKey ?? ''))
})

t.test('the pending key opens requests already: the clock of another replica may be ahead', async t => {
  const { ring } = await ringAt(t)
  const pending = ring.keys().find(({ state }) => state === 'pending')
  const { suites } = published(ring)
  const request = await encapsulated(
    { keyId: 8, kemId: KEM_X25519, publicKey: pending?.publicKey ?? new Uint8Array(), suites }
  )
  t.equal(ring.decapsulate(request.header, request.enc).length, 32)
})

t.test('what is published never outlives the key', async t => {
  const { ring, turn } = await ringAt(t)
  for (const time of [
    START, 8 * ROTATION - 1, 8 * ROTATION, 8 * ROTATION + RETIREMENT - 1, 9 * ROTATION - 1500, 9 * ROTATION - 1
  ]) {
    await turn(time)
    const { maxAge } = ring.publication()
    const active = ring.keys().find(({ state }) => state === 'active')
    t.ok(
      Number.isInteger(maxAge) && maxAge >= 0 && time + maxAge * 1000 <= (active?.notAfter ?? 0),
      `${maxAge} s at ${time}`
    )
  }
})

t.test('without retirement the age shrinks to nothing with the epoch', async t => {
  const { ring, turn } = await ringAt(t, { retirement: 0 })
  for (const [left, age] of [[10_000, 10], [1999, 1], [999, 0], [1, 0]] as const) {
    await turn(8 * ROTATION - left)
    t.equal(ring.publication().maxAge, age)
  }
})

t.test('clients come back within the hour, even where keys are never rotated', async t => {
  const { ring, delays } = await ringAt(t, { rotation: 0 })
  t.strictSame(states(ring), ['0 active'])
  t.equal(ring.publication().maxAge, 3600)
  t.strictSame(ring.keys().map(({ notAfter }) => notAfter), [Infinity])
  t.strictSame(delays, [])
})

t.test('with two KEMs both keys rotate together, the preferred one first', async t => {
  const { ring, turn } = await ringAt(t, { kemIds: [KEM_MLKEM768_X25519, KEM_X25519] })
  await turn(8 * ROTATION)
  const configs = decodeKeyConfigs(ring.publication().octets)
  t.strictSame(configs.map(({ keyId, kemId }) => [keyId, kemId]), [[16, KEM_MLKEM768_X25519], [17, KEM_X25519]])
  for (const config of configs) {
    const { header, enc } = await encapsulated(config)
    t.equal(ring.decapsulate(header, enc).length, 32)
    t.throws(
      () => ring.decapsulate({ ...header, kemId: header.kemId === KEM_X25519 ? KEM_MLKEM768_X25519 : KEM_X25519 }, enc),
      unknownKey
    )
  }
})

for (const kemIds of [[KEM_X25519], [KEM_MLKEM768_X25519, KEM_X25519]]) {
  t.test(`an instance never stops to rotate with ${kemIds.length} KEMs, and an id names one key at a time`, async t => {
    const { ring, turn, delays } = await ringAt(t, { kemIds, retirement: 5 * ROTATION })
    const lastSeen = new Map<number, { key: string, epoch: number }>()
    const keys = new Set<string>()
    for (let epoch = 7; epoch < 7 + 300; epoch++) {
      await turn(epoch * ROTATION)
      const present = ring.keys()
      t.equal(new Set(present.map(({ keyId }) => keyId)).size, present.length)
      for (const { keyId, publicKey } of present) {
        const key = Buffer.from(publicKey).toString('hex')
        const before = lastSeen.get(keyId)
        if (before !== undefined && before.key !== key) {
          t.ok(epoch > before.epoch + 50, `${keyId} is used again long after`)
        }
        lastSeen.set(keyId, { key, epoch })
        keys.add(key)
      }
    }
    t.equal(lastSeen.size, 256)
    t.equal(keys.size, 301 * kemIds.length, 'a new key for each epoch')
    t.ok(ring.keys().every(({ notAfter }) => notAfter < Infinity))
    const { header, enc } = await encapsulated(published(ring))
    t.equal(ring.decapsulate(header, enc).length, 32)
    t.ok(Math.min(...delays.slice(-40)) > 1, 'timers do not spin')
  })
}

t.test('ids of replicas follow the epoch, whenever they started', async t => {
  const secrets: EpochSecrets = {
    earliest: undefined, firstKeyId: 0, secret: epoch => new Uint8Array(32).fill(epoch % 251)
  }
  const early = await ringAt(t, { secrets })
  for (let epoch = 8; epoch <= 300; epoch++) await early.turn(epoch * ROTATION)
  const late = await ringAt(t, { secrets }, 300 * ROTATION)
  t.strictSame(published(late.ring), published(early.ring))
  t.equal(published(late.ring).keyId, 300 % 256)
})

t.test('a clock that leaps ahead skips epochs, and one that leaps back changes nothing', async t => {
  const { ring, turn } = await ringAt(t)
  await turn(20 * ROTATION)
  t.strictSame(states(ring), ['20 active', '21 pending', '19 retiring'], 'the old key has retired meanwhile')
  await turn(9 * ROTATION)
  t.strictSame(states(ring), ['20 active', '21 pending', '19 retiring'])
})

t.test('secrets that are not to be had are asked for again', async t => {
  const ratchet = createRatchet({ epoch: Math.floor(START / ROTATION), seed: randomBytes(32) })
  let failures = 2
  const secrets: EpochSecrets = {
    earliest: 7,
    firstKeyId: 0,
    secret (epoch) {
      if (failures-- > 0) throw new Error('not now')
      return ratchet.secret(epoch)
    }
  }
  const { ring, turn, errors, delays } = await ringAt(t, { secrets })
  t.notOk(ring.isReady)
  t.throws(() => ring.publication(), unknownKey)
  t.strictSame(delays, [1000])
  await turn(START + 1000)
  t.equal(errors.length, 2)
  await turn(START + 2000)
  await ring.ready
  t.ok(ring.isReady)
  t.strictSame(states(ring), ['7 active', '8 pending'])

  failures = 1
  await turn(8 * ROTATION)
  t.strictSame(states(ring), ['8 active', '7 retiring'], 'the prepared key is active, the next is missing')
  t.equal(errors.length, 3)
  await turn(8 * ROTATION + 1000)
  t.strictSame(states(ring), ['8 active', '9 pending', '7 retiring'])
})

t.test('it is ready with its first key, although the next cannot be prepared', async t => {
  const secrets: EpochSecrets = {
    earliest: undefined,
    firstKeyId: 0,
    secret (epoch) {
      if (epoch > 7) throw new Error('not yet')
      return randomBytes(32)
    }
  }
  const { ring } = await ringAt(t, { secrets })
  await ring.ready
  t.strictSame(states(ring), ['7 active'])
})

t.test('listeners are told once the new keys are active', async t => {
  const { ring, turn } = await ringAt(t)
  const told: string[][] = []
  ring.onRotation(() => told.push(states(ring)))
  await turn(8 * ROTATION)
  await turn(8 * ROTATION + RETIREMENT)
  await turn(9 * ROTATION)
  t.strictSame(told.map(([active]) => active), ['8 active', '9 active'])
})

t.test('a closed ring has no keys, not even those that were in the making', async t => {
  const { ring } = await ringAt(t)
  const request = await encapsulated(published(ring))
  ring.close()
  t.strictSame(ring.keys(), [])
  t.notOk(ring.isReady)
  t.throws(() => ring.decapsulate(request.header, request.enc), unknownKey)
  t.throws(() => ring.publication(), OhttpError)

  let give: (secret: Uint8Array) => void = () => t.fail('asked too early')
  const slow = await ringAt(
    t, { secrets: { earliest: undefined, firstKeyId: 0, secret: () => new Promise(resolve => { give = resolve }) } }
  )
  slow.ring.close()
  give(randomBytes(32))
  await settled()
  t.strictSame(slow.ring.keys(), [])
  t.strictSame(slow.delays, [])
})

t.test('keys and secrets cannot be had from the ring', async t => {
  const secret = randomBytes(32)
  const handed: Uint8Array[] = []
  const { ring } = await ringAt(t, {
    secrets: {
      earliest: undefined,
      firstKeyId: 0,
      secret () {
        handed.push(Uint8Array.from(secret))
        return handed.at(-1) as Uint8Array
      }
    }
  })
  t.ok(handed.every(octets => octets.every(octet => octet === 0)), 'secrets are overwritten after use')
  t.strictSame(
    Object.keys(ring.keys()[0] ?? {}).sort(), ['kemId', 'keyId', 'notAfter', 'notBefore', 'publicKey', 'state']
  )
})

t.test('a process that starts while the clock is set back has the keys of the others, which went on ' +
  'before', async t => {
  const seed = randomBytes(32)
  const state = createRatchet({ epoch: 7, seed }).stateAt(9)
  const others = await ringAt(t, { secrets: createRatchet(state) }, 9.5 * ROTATION)
  const { ring, turn, errors } = await ringAt(t, { secrets: createRatchet(state) }, 8.9 * ROTATION)
  t.equal(ring.isReady, true)
  t.same(ring.publication().octets, others.ring.publication().octets)
  await turn(10.1 * ROTATION)
  t.match(ring.keys().map(({ state }) => state), ['active', 'pending', 'retiring'])
  t.same(errors, [])
})
