/**
 * The budget of what is held in memory: never exceeded, given back once, and not kept by senders who take their time.
 */
import { Readable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { createByteBudget } from '../../../lib/streams/budget.ts'
import type { BudgetAccount } from '../../../lib/streams/budget.ts'

const overloaded = { code: 'overloaded' }

t.test('accounts share the budget, and give back all they hold, once', t => {
  const budget = createByteBudget(100)
  const [one, other] = [budget.open(), budget.open()]
  one.hold(60)
  other.hold(40)
  t.equal(budget.used, 100)
  t.throws(() => other.hold(1), overloaded)
  one.release()
  one.release()
  t.equal(budget.used, 40)
  t.throws(() => one.hold(1), overloaded, 'nobody would give it back')
  other.hold(60)
  t.equal(budget.used, 100)
  t.end()
})

/** A message of which pieces come when the test says so. */
function arrivingMessage (account: BudgetAccount) {
  const source = new Readable({ read () {} })
  let received = 0
  const done = (async () => {
    for await (const piece of account.arriving(source)) {
      account.hold(piece.length)
      received += piece.length
    }
  })().then(() => 'complete', (error: { code: string }) => error.code)
  return {
    source,
    done,
    async send (bytes: number) {
      source.push(Buffer.alloc(bytes))
      const expected = received + bytes
      const isThere = () => received >= expected
      while (!isThere()) await new Promise(resolve => setImmediate(resolve))
    }
  }
}

t.test('when the budget is spent the slowest arrival gives way, if it is slow', async t => {
  let time = 0
  const budget = createByteBudget(1_000_000, () => time)
  const slow = arrivingMessage(budget.open())
  const slower = arrivingMessage(budget.open())
  const fast = arrivingMessage(budget.open())
  await slow.send(20_000)
  await slower.send(10_000)
  await fast.send(970_000)
  time = 999
  const next = budget.open()
  t.throws(() => next.hold(10_000), overloaded, 'nobody is slow who has just begun')
  time = 2000
  next.hold(10_000)
  t.equal(await slower.done, 'overloaded')
  t.equal(slower.source.destroyed, false, 'it can still be answered')
  next.hold(20_000)
  t.equal(await slow.done, 'overloaded')
  t.throws(() => next.hold(1), overloaded, 'the fast one stays')
  fast.source.push(null)
  t.equal(await fast.done, 'complete')
  t.throws(() => next.hold(1), overloaded, 'and so does what has arrived')
  t.equal(budget.used, 1_000_000)
})

t.test('a fast beginning does not pay for a slow rest', async t => {
  let time = 0
  const budget = createByteBudget(1_000_000, () => time)
  const stalling = arrivingMessage(budget.open())
  await stalling.send(999_000)
  for (let i = 0; i < 5; i++) {
    time += 2000
    await stalling.send(1)
  }
  budget.open().hold(10_000)
  t.equal(await stalling.done, 'overloaded')
})

t.test('an arrival that wants more does not give way to itself', async t => {
  let time = 0
  const budget = createByteBudget(100, () => time)
  const account = budget.open()
  const message = arrivingMessage(account)
  await message.send(90)
  time = 60_000
  t.throws(() => account.hold(20), overloaded)
  t.equal(budget.used, 90)
  message.source.destroy(new Error('gone'))
  t.not(await message.done, 'complete')
})

t.test('what is used is what is held, whatever happens', t => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(60), fc.boolean()), { maxLength: 60 }), steps => {
    const budget = createByteBudget(100)
    const accounts = Array.from({ length: 5 }, () => ({ account: budget.open(), held: 0, released: false }))
    for (const [index, bytes, release] of steps) {
      const one = accounts[index]!
      if (release) {
        one.account.release()
        Object.assign(one, { held: 0, released: true })
      } else {
        const fits = !one.released && budget.used + bytes <= 100
        let held = true
        try {
          one.account.hold(bytes)
        } catch (error) {
          held = (error as { code?: string }).code !== 'overloaded'
        }
        if (held !== fits) throw new Error('held what does not fit, or not what does')
        if (held) one.held += bytes
      }
      if (budget.used !== accounts.reduce((sum, { held }) => sum + held, 0)) throw new Error('counted wrongly')
    }
  }))
  t.pass('100 times')
  t.end()
})
