/** What the replay store on a real Redis server remembers, and what it refuses when the server may have forgotten. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { connectRedis } from '../../../../lib/replay/redis.ts'
import { ReplayStoreError } from '../../../../lib/replay/store.ts'
import { startRedis } from '../../../fixtures/redis.ts'
import { open, skip, untilProblem, untilWell } from '../../../fixtures/replay/redis-store.ts'

t.test('a digest is admitted once among stores that share a server', { skip }, async t => {
  const redis = await startRedis(t)
  const { store: one } = open(t, redis.url)
  const { store: other } = open(t, redis.url)
  await untilWell(one)
  await untilWell(other)
  const digest = randomBytes(16)
  t.equal(await one.admit(digest), true)
  t.equal(await other.admit(digest), false)
  t.equal(await one.admit(digest), false)

  const contested = randomBytes(16)
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? one : other).admit(contested)))
  t.equal(answers.filter(Boolean).length, 1)
})

t.test('the server forgets a digest after the time it is told', { skip }, async t => {
  const redis = await startRedis(t)
  const { store } = open(t, redis.url, 121_000)
  await untilWell(store)
  await store.admit(randomBytes(16))
  const [key = ''] = redis.cli('keys', '*').trim().split('\n')
  t.match(key, /^polaris:replay:[\w-]{22}$/)
  const left = Number(redis.cli('pttl', key))
  t.ok(left > 60_000 && left <= 121_000, `${left} ms left`)

  const { store: brief } = open(t, redis.url, 1)
  await untilWell(brief)
  const digest = randomBytes(16)
  await brief.admit(digest)
  while (redis.cli('dbsize').trim() !== '1') await setTimeout(10)
  t.equal(await brief.admit(digest), true)
})

t.test('a server full to the brim refuses: it does not make room by forgetting', { skip }, async t => {
  const redis = await startRedis(t, ['--maxmemory', '1', '--maxmemory-policy', 'noeviction'])
  const { store, states } = open(t, redis.url)
  while (store.problem() !== 'refuses commands (OOM)') await setTimeout(10)
  await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
  redis.cli('config', 'set', 'maxmemory', '0')
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
  t.strictSame(states, ['connected', 'refuses commands OOM', 'accepts commands'])
})

t.test('while the clock of this machine is far from the server\'s, what is dated is refused: it may be forgotten', {
  skip
}, async t => {
  const redis = await startRedis(t)
  let offset = 0
  const states: string[] = []
  const connection = connectRedis({
    url: redis.url,
    now: () => Date.now() + offset,
    onState: (state, reason) => states.push([state, reason].join(' ').trim())
  })
  t.teardown(() => connection.close())
  const store = connection.store(
    { prefix: 'polaris:replay:', remember: 120_000, strict: true, clockTolerance: 60_000 }
  )
  const messages = connection.store({ prefix: 'polaris:replay:v1:', remember: 120_000, strict: false })
  await untilWell(store)
  for (offset of [0, 50_000, -50_000]) {
    t.equal(await store.admit(randomBytes(16), Date.now() + offset), true, `${offset}`)
  }
  for (offset of [300_000, -300_000]) {
    await t.rejects(async () => store.admit(randomBytes(16), Date.now() + offset), ReplayStoreError)
    t.match(store.problem(), new RegExp(`^its clock is ${-offset / 1000} s ahead`))
    t.equal(await store.admit(randomBytes(16)), true, 'what has no date is remembered for as long as it is good')
    t.equal(messages.problem(), undefined)
    t.equal(await messages.admit(randomBytes(16)), true)
  }
  while (states.length < 2) await setTimeout(50)
  offset = 0
  t.equal(await store.admit(randomBytes(16), Date.now()), true, 'at once')
  while (states.length < 3) await setTimeout(50)
  t.strictSame(states, ['connected', 'disagrees about the time 300 s ahead', 'agrees about the time 0 s ahead'])
})

t.test('a server that may forget is told of; one that did forget refuses for as long as it should have remembered', {
  skip
}, async t => {
  const redis = await startRedis(t, ['--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-random'])
  const { store, states } = open(t, redis.url, 8_000)
  await untilWell(store)
  t.strictSame(states, ['connected', 'may forget maxmemory-policy allkeys-random'])
  t.equal(await store.admit(randomBytes(16)), true)
  for (let i = 0; i < 20; i++) redis.cli('set', `other:${i}`, 'x'.repeat(100_000))
  t.equal(await untilProblem(store), 'forgets keys (maxmemory-policy allkeys-random)')
  await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
  redis.cli('config', 'set', 'maxmemory', '0')
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
})

t.test('a policy that forgets is no problem without a limit on memory', { skip }, async t => {
  const redis = await startRedis(t, ['--maxmemory', '0', '--maxmemory-policy', 'allkeys-lru'])
  const { store, states } = open(t, redis.url)
  await untilWell(store)
  t.strictSame(states, ['connected'])
})

t.test('the date of what this process saw long ago is refused, even when the server has forgotten it', {
  skip
}, async t => {
  const redis = await startRedis(t)
  const { store } = open(t, redis.url, 200)
  await untilWell(store)
  const [old, digest] = [randomBytes(16), randomBytes(16)]
  t.equal(await store.admit(digest, 1000), true)
  for (let i = 0; i < 10; i++) {
    await setTimeout(100)
    t.equal(await store.admit(digest, 1000), false, `after ${i}`)
  }
  t.equal(await store.admit(old, 999), false, 'and what is older')
  t.equal(await store.admit(old, 1001), true)
})
