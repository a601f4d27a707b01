/** The HPKE keys of the gateway when clocks leap, secrets are late, and processes start or end; none gets out. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createRatchet } from '../../../../../lib/keys/hpke/epoch-secrets.ts'
import type { EpochSecrets } from '../../../../../lib/keys/hpke/ring.ts'
import { OhttpError } from '../../../../../lib/protocols/ohttp/ohttp.ts'
import {
  RETIREMENT, ROTATION, START, encapsulated, published, ringAt, settled, states, unknownKey
} from '../../../../fixtures/keys/hpke-ring.ts'

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

t.test('a process that starts among others serves once it has all keys that their clients may hold', async t => {
  const asked: number[] = []
  let answer = () => {}
  const secrets: EpochSecrets = {
    earliest: undefined,
    firstKeyId: 0,
    secret: epoch => new Promise(resolve => {
      asked.push(epoch)
      answer = () => resolve(new Uint8Array(32).fill(epoch))
    })
  }
  const { ring } = await ringAt(t, { secrets }, 7 * ROTATION + RETIREMENT / 2)
  for (const epoch of [6, 7, 8]) {
    t.equal(asked.at(-1), epoch)
    t.notOk(ring.isReady)
    t.throws(() => ring.publication(), unknownKey)
    answer()
    await settled()
  }
  t.ok(ring.isReady)
  t.strictSame(states(ring), ['7 active', '8 pending', '6 retiring'])
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
