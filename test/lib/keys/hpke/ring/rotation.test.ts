/** The HPKE keys of the gateway over time: when each is published, opens requests, and is gone. */
import t from 'tap'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../../../../../lib/protocols/ohttp/suites.ts'
import { decodeKeyConfigs } from '../../../../../lib/protocols/ohttp/key-config.ts'
import {
  RETIREMENT, ROTATION, START, encapsulated, published, ringAt, states, unknownKey
} from '../../../../fixtures/keys/hpke-ring.ts'

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
