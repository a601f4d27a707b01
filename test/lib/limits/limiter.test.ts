/**
 * The accounts of limited clients: rates, bytes and exchanges at once, by a clock of the test's, with bounded memory.
 */
import fc from 'fast-check'
import t from 'tap'
import { limitsByWorker } from '../../../lib/limits/by-worker.ts'
import { createMemoryLimiter, layered } from '../../../lib/limits/limiter.ts'
import type { ClientLimiter, Verdict } from '../../../lib/limits/limiter.ts'
import { identityOf, namedLimiter } from '../../../lib/limits/names.ts'

const none = { requestRate: 0, burst: 1, bytesPerMinute: 0, concurrency: 0 }

/** Takes so many requests, ends each at once, and counts those that were allowed. */
function allowed (
  limiter: { take (client: string): Verdict, end: ClientLimiter['end'] }, client: string, count: number
): number {
  let served = 0
  for (let i = 0; i < count; i++) {
    if (!limiter.take(client).allowed) continue
    served++
    limiter.end(client, 0)
  }
  return served
}

t.test('a burst is served at once, then the rate', async t => {
  let now = 1e6
  const limiter = createMemoryLimiter({ ...none, requestRate: 10, burst: 5 }, () => now)
  t.equal(allowed(limiter, 'a', 20), 5)
  t.equal(allowed(limiter, 'b', 20), 5, 'others have their own')
  t.match(limiter.take('a'), { allowed: false, retryAfter: 1, remaining: 0, reset: 1 })
  now += 100
  t.equal(allowed(limiter, 'a', 20), 1)
  now += 1000
  t.equal(allowed(limiter, 'a', 20), 5, 'no more than the burst')
})

t.test('what is left is told', async t => {
  let now = 0
  const limiter = createMemoryLimiter({ ...none, requestRate: 1, burst: 3 }, () => now)
  t.strictSame(limiter.take('a'), { allowed: true, retryAfter: 0, remaining: 2, reset: 1 })
  t.strictSame(limiter.take('a'), { allowed: true, retryAfter: 0, remaining: 1, reset: 2 })
  t.strictSame(limiter.take('a'), { allowed: true, retryAfter: 0, remaining: 0, reset: 3 })
  t.strictSame(limiter.take('a'), { allowed: false, retryAfter: 1, remaining: 0, reset: 3 })
  now += 3000
  t.equal(limiter.take('a').remaining, 2)
})

t.test('whatever the clock says, times are whole where their sums are', async t => {
  fc.assert(fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), time => {
    const limiter = createMemoryLimiter({ ...none, requestRate: 1, burst: 2 }, () => time)
    const seen = Array.from({ length: 3 }, () => limiter.take('a'))
    return seen.map(({ reset, retryAfter }) => `${reset} ${retryAfter}`).join() === '1 0,2 0,2 1'
  }), { numRuns: 2000 })
})

t.test('over any time, no more than burst and rate allow, whatever the pattern', async t => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), fc.array(
    fc.nat(500), { maxLength: 200 }
  ), (requestRate, burst, pauses) => {
    let now = 0
    const limiter = createMemoryLimiter({ ...none, requestRate, burst }, () => now)
    const times: number[] = []
    for (const pause of pauses) {
      now += pause
      const { allowed, retryAfter } = limiter.take('a')
      if (allowed) times.push(now)
      else if (retryAfter < 1) return false
    }
    return times.every(
      (from, i) => times.slice(i).every((to, j) => j + 1 <= burst + (to - from) / 1000 * requestRate + 1e-6)
    )
  }))
})

t.test('waiting as long as was said is enough', async t => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), fc
    .integer({ min: 1, max: 100 }), (requestRate, burst, count) => {
    let now = 0
    const limiter = createMemoryLimiter({ ...none, requestRate, burst }, () => now)
    allowed(limiter, 'a', count)
    const { allowed: served, retryAfter } = limiter.take('a')
    now += retryAfter * 1000
    return served || limiter.take('a').allowed
  }))
})

t.test('bytes count once an exchange has ended', async t => {
  let now = 0
  const limiter = createMemoryLimiter({ ...none, bytesPerMinute: 1000 }, () => now)
  t.ok(limiter.take('a').allowed)
  limiter.end('a', 500)
  t.ok(limiter.take('a').allowed)
  limiter.end('a', 2500)
  t.match(limiter.take('a'), { allowed: false, retryAfter: 120 })
  t.ok(limiter.take('b').allowed)
  now += 120_000
  t.ok(limiter.take('a').allowed)
})

t.test('exchanges at once are limited, and given back', async t => {
  const limiter = createMemoryLimiter({ ...none, concurrency: 2 }, () => 0)
  t.ok(limiter.take('a').allowed)
  t.ok(limiter.take('a').allowed)
  t.match(limiter.take('a'), { allowed: false, retryAfter: 1 })
  t.ok(limiter.take('b').allowed)
  limiter.end('a', 0)
  t.ok(limiter.take('a').allowed)
  limiter.end('nobody', 0)
})

t.test('100,000 clients and ten times as many take bounded memory, and none is limited for another', async t => {
  let now = 0
  const most = 100_000
  const limiter = createMemoryLimiter(
    { requestRate: 1, burst: 2, bytesPerMinute: 1e6, concurrency: 2 }, () => now, most
  )
  limiter.take('open')
  for (let i = 0; i < most * 10; i++) {
    now += 0.001
    const client = `192.0.2.${i}`
    if (!limiter.take(client).allowed) t.fail(`${client} is limited`)
    limiter.end(client, 100)
    if (limiter.size > most + 3) t.fail(`${limiter.size} accounts`)
  }
  t.ok(limiter.take('open').allowed)
  t.notOk(limiter.take('open').allowed, 'an open exchange is not forgotten')
  for (let i = 0; i < 3; i++) {
    now += 120_000
    limiter.take('somebody')
  }
  t.ok(limiter.size < 5, 'those who are gone leave nothing behind')
})

t.test('of two layers both have to allow it; if the shared one fails, the other counts alone, and that is said ' +
  'once', async t => {
  const states: boolean[] = []
  let works = true
  const ended: string[] = []
  const shared: ClientLimiter = {
    async take (client) {
      if (!works) throw new Error('down')
      return { allowed: client !== 'refused', retryAfter: 7, remaining: 0, reset: 0 }
    },
    end (client) { ended.push(client) }
  }
  const local = createMemoryLimiter({ ...none, concurrency: 1 }, () => 0)
  const limiter = layered(local, shared, state => states.push(state))
  t.match(await limiter.take('refused'), { allowed: false, retryAfter: 7 })
  t.ok(local.take('refused').allowed, 'what was refused there is not open here')
  t.match(await limiter.take('a'), { allowed: true })
  t.match(await limiter.take('a'), { allowed: false })
  works = false
  for (const client of ['b', 'c']) t.match(await limiter.take(client), { allowed: true })
  t.match(await limiter.take('b'), { allowed: false }, 'local limits still hold')
  works = true
  t.match(await limiter.take('d'), { allowed: true })
  t.strictSame(states, [false, true])
  limiter.end('a', 1)
  t.strictSame(ended, ['a'])
})

t.test('what a worker has open ends with it', async t => {
  const limiter = createMemoryLimiter({ ...none, concurrency: 2 }, () => 0)
  const workers = limitsByWorker(limiter)
  t.ok((await workers.take('1', 'a')).allowed)
  t.ok((await workers.take('2', 'a')).allowed)
  t.notOk((await workers.take('2', 'a')).allowed, 'they count together')
  workers.leave('1')
  t.ok((await workers.take('2', 'a')).allowed)
  workers.end('2', 'a', 0)
  workers.end('2', 'a', 0)
  workers.leave('2')
  t.ok((await workers.take('2', 'a')).allowed)
})

t.test('clients are told apart by the header that is named, of which only a hash is kept, and by their address ' +
  'without it', async t => {
  const address = () => '192.0.2.1'
  const seen: string[] = []
  const recording: ClientLimiter = {
    take (client) {
      seen.push(client)
      return { allowed: true, retryAfter: 0, remaining: 0, reset: 0 }
    },
    end (client) { seen.push(client) }
  }
  const take = (key: string, headers: Record<string, string>, header?: string) => {
    const limiter = namedLimiter(recording, Buffer.from(key))
    const identity = identityOf(headers, header, address)
    limiter.take(identity)
    limiter.end(identity, 1)
    const [taken, ended] = seen.splice(0)
    t.equal(taken, ended)
    return taken
  }
  const first = take('key', { authorization: 'secret' }, 'authorization')
  t.match(first, /^[\w-]{22}$/)
  t.equal(take('key', { authorization: 'secret' }, 'authorization'), first)
  t.not(take('key', { authorization: 'secret2' }, 'authorization'), first)
  t.not(take('other key', { authorization: 'secret' }, 'authorization'), first)
  t.equal(take('key', {}, 'authorization'), '192.0.2.1')
  t.equal(take('key', { authorization: 'secret' }), '192.0.2.1')
})
