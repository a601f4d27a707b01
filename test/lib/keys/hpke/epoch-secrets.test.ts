/** The ratchet: the secrets of epochs that are over cannot be made again, not even from its state. */
import t from 'tap'
import { createInstanceRatchet, createRatchet } from '../../../../lib/keys/hpke/epoch-secrets.ts'

const hex = (octets: Uint8Array | Promise<Uint8Array>) => Buffer.from(octets as Uint8Array).toString('hex')

t.test('each epoch has a secret of its own', async t => {
  const ratchet = createInstanceRatchet(5)
  const secrets = [5, 6, 7, 9, 100].map(epoch => hex(ratchet.secret(epoch)))
  t.equal(new Set(secrets).size, 5)
  t.ok(secrets.every(secret => secret.length === 64))
})

t.test('two ratchets have nothing in common', async t => {
  t.not(hex(createInstanceRatchet(5).secret(5)), hex(createInstanceRatchet(5).secret(5)))
})

t.test('a copy of the state makes the same secrets from there on, and none of those before', async t => {
  const ratchet = createInstanceRatchet(5)
  const old = hex(ratchet.secret(5))
  const state = ratchet.stateAt(6)
  t.match(state, { epoch: 6, earliest: 5 })
  const copy = createRatchet(state)
  for (const epoch of [6, 7, 12]) t.equal(hex(copy.secret(epoch)), hex(ratchet.secret(epoch)))
  for (const epoch of [4, 5, 6, 11]) t.throws(() => copy.secret(epoch), RangeError)
  t.not(hex(state.seed), old, 'the state is not the secret that was handed out')
})

t.test('a state of an epoch that is gone is the oldest that is left: clocks are set back', async t => {
  const ratchet = createInstanceRatchet(5)
  ratchet.stateAt(9)
  const state = ratchet.stateAt(6)
  t.match(state, { epoch: 9, earliest: 5 })
  t.equal(hex(createRatchet(state).secret(9)), hex(ratchet.secret(9)))
})

t.test('skipped epochs make no difference to later ones', async t => {
  const start = { epoch: 3, seed: new Uint8Array(32).fill(7) }
  const straight = createRatchet(start)
  for (let epoch = 3; epoch < 20; epoch++) straight.secret(epoch)
  t.equal(hex(createRatchet(start).secret(20)), hex(straight.secret(20)))
})

t.test('neither the state it was made from nor the one it gives shares memory with it', async t => {
  const start = { epoch: 3, seed: new Uint8Array(32).fill(7) }
  const expected = hex(createRatchet(start).secret(3))
  const ratchet = createRatchet(start)
  start.seed.fill(0)
  ratchet.stateAt(3).seed.fill(0)
  const secret = ratchet.secret(3) as Uint8Array
  t.equal(hex(secret), expected)
  secret.fill(0)
  t.not(hex(ratchet.secret(4)), hex(new Uint8Array(32)))
})
