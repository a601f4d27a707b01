/** Nonces out of the pool: of the length asked for, each given out once, and memory of their own. */
import t from 'tap'
import { randomNonce } from '../../../lib/hpke/random-nonce.ts'

t.test('each is given out once, across the ends of the pool', async t => {
  const seen = new Set<string>()
  for (let i = 0; i < 5000; i++) seen.add(randomNonce(i % 2 === 0 ? 16 : 32).toString('hex'))
  t.equal(seen.size, 5000)
})

t.test('what is written to one changes no other', async t => {
  const first = randomNonce(16)
  const second = randomNonce(16)
  const before = Buffer.from(second)
  first.fill(0)
  t.ok(second.equals(before))
})

t.test('as long as the pool, and no longer', async t => {
  const whole = randomNonce(4096)
  t.equal(whole.length, 4096)
  t.ok(new Set(whole).size > 200, 'random bytes')
  t.throws(() => randomNonce(4097), RangeError)
})
