/** The replay store in memory: admits everything once, forgets nothing too early, and is bounded. */
import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createMemoryReplayStore } from '../../../lib/replay/memory.ts'
import { DIGEST_BYTES, ReplayStoreError, replayDigest } from '../../../lib/replay/store.ts'
import { run } from '../../fixtures/process.ts'

const SPAN = 1000

/** A store whose clock is in the test's hands. */
function storeAt (time: number, capacity = 10_000) {
  const clock = { time }
  return { clock, store: createMemoryReplayStore({ remember: SPAN, capacity, now: () => clock.time }) }
}

const digestOf = (n: number) => createHash('sha256').update(String(n)).digest().subarray(0, DIGEST_BYTES)

t.test('a digest is admitted once', async t => {
  const { store } = storeAt(0)
  for (let n = 0; n < 5000; n++) if (store.admit(digestOf(n)) !== true) t.fail(`${n} is new`)
  for (let n = 0; n < 5000; n++) if (store.admit(digestOf(n)) !== false) t.fail(`${n} is not new`)
  t.equal(store.problem(), undefined)
})

t.test('digests that differ in one octet are different, all zeros among them', async t => {
  const { store } = storeAt(0)
  const zeros = Buffer.alloc(DIGEST_BYTES)
  t.equal(store.admit(zeros), true)
  for (let i = 0; i < DIGEST_BYTES; i++) {
    const digest = Buffer.alloc(DIGEST_BYTES)
    digest[i] = 0x80
    t.equal(store.admit(digest), true)
    t.equal(store.admit(digest), false)
  }
  t.equal(store.admit(zeros), false)
})

t.test('the digest of a request depends on key id and encapsulated key', async t => {
  const enc = randomBytes(32)
  t.equal(replayDigest(1, enc).length, DIGEST_BYTES)
  t.ok(replayDigest(1, enc).equals(replayDigest(1, enc)))
  t.notOk(replayDigest(1, enc).equals(replayDigest(2, enc)))
  t.notOk(replayDigest(1, enc).equals(replayDigest(1, randomBytes(32))))
})

t.test('a digest is remembered for at least the span, whenever in a generation it came, and for at most ' +
  'two', async t => {
  for (let offset = 0; offset < SPAN; offset += 50) {
    const { clock, store } = storeAt(0)
    store.admit(digestOf(-1))
    clock.time = offset
    store.admit(digestOf(1))
    clock.time = offset + SPAN - 1
    t.equal(store.admit(digestOf(1)), false, `came at ${offset}`)
    clock.time = offset + 2 * SPAN
    t.equal(store.admit(digestOf(1)), true, `came at ${offset}, is forgotten`)
  }
})

t.test('a long silence forgets both generations', async t => {
  const { clock, store } = storeAt(0)
  store.admit(digestOf(1))
  clock.time = 10 * SPAN
  t.equal(store.admit(digestOf(1)), true)
})

t.test('the date of what is forgotten is refused for ever, and so is what is older; what is newer is not', async t => {
  const { clock, store } = storeAt(0)
  t.equal(store.admit(digestOf(1), 5_000), true)
  t.equal(store.admit(digestOf(2), 4_000), true)
  for (const time of [SPAN - 1, SPAN, 2 * SPAN, 10 * SPAN]) {
    clock.time = time
    t.equal(store.admit(digestOf(1), 5_000), false, `at ${time}`)
    t.equal(store.admit(digestOf(2), 4_000), false, `at ${time}`)
  }
  t.equal(store.admit(digestOf(3), 4_999), false)
  t.equal(store.admit(digestOf(3), 5_001), true)
})

t.test('setting the clock of the machine forgets nothing', async t => {
  const { now } = Date
  t.teardown(() => { Date.now = now })
  const store = createMemoryReplayStore({ remember: 60_000, capacity: 1000 })
  t.equal(store.admit(digestOf(1), now()), true)
  for (const hours of [1, -1, 24 * 365, 0]) {
    Date.now = () => now() + hours * 3_600_000
    t.equal(store.admit(digestOf(1), now()), false, `${hours} h`)
  }
})

t.test('when full it refuses what is new, still knows what it has, and empties by itself', async t => {
  const { clock, store } = storeAt(0, 1000)
  for (let n = 0; n < 1000; n++) store.admit(digestOf(n))
  t.equal(store.problem(), 'full; it empties by itself')
  t.throws(() => store.admit(digestOf(1000)), ReplayStoreError)
  t.equal(store.admit(digestOf(999)), false)
  clock.time = SPAN
  t.equal(store.problem(), undefined)
  t.equal(store.admit(digestOf(1000)), true)
  t.equal(store.admit(digestOf(999)), false, 'the generation before is remembered')
})

t.test('digests made to stand in one place cost no more than others', async t => {
  const { store } = storeAt(0, 300_000)
  const admitAll = (make: (n: number) => Buffer) => {
    const start = process.threadCpuUsage().user
    for (let n = 1; n <= 50_000; n++) if (store.admit(make(n)) !== true) t.fail('admitted')
    return process.threadCpuUsage().user - start
  }
  const random = admitAll(() => randomBytes(DIGEST_BYTES))
  // Equal in all words but one, and in the lower half of that one.
  for (const offset of [0, 4, 8, 12]) {
    const crowded = admitAll(n => {
      const digest = Buffer.alloc(DIGEST_BYTES, offset + 1)
      digest.writeUInt16LE(n, offset + 2)
      return digest
    })
    t.ok(crowded < 20 * random + 1e6, `${crowded} µs where random ones took ${random}`)
  }
})

t.test('it behaves as a set of what came within the span', async t => {
  const step = fc.record({ wait: fc.integer({ min: 0, max: 700 }), value: fc.integer({ min: 0, max: 30 }) })
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), steps => {
    const { clock, store } = storeAt(0)
    const last = new Map<number, number>()
    for (const { wait, value } of steps) {
      clock.time += wait
      const admitted = store.admit(digestOf(value))
      const age = clock.time - (last.get(value) ?? -Infinity)
      if (age < SPAN && admitted) throw new Error(`admitted again after ${age}`)
      if (age >= 2 * SPAN && !admitted) throw new Error(`remembered after ${age}`)
      if (admitted) last.set(value, clock.time)
    }
  }))
})

t.test('a million requests take less than 100 MB, another million in the next generation included', async t => {
  const script = `
    import { createMemoryReplayStore } from './lib/replay/memory.ts'
    const clock = { time: 0 }
    const store = createMemoryReplayStore({ remember: 1000, capacity: 1_000_000, now: () => clock.time })
    const digest = Buffer.alloc(16)
    const fill = generation => {
      for (let n = 0; n < 1_000_000; n++) {
        digest.writeUInt32LE(n); digest.writeUInt32LE(Math.imul(n, 2654435761) >>> 0, 4); digest.writeUInt32LE(generation, 8)
        store.admit(digest)
      }
    }
    store.admit(Buffer.alloc(16, 1))
    clock.time = 1000
    const before = process.memoryUsage.rss()
    fill(1)
    const one = process.memoryUsage.rss() - before
    clock.time = 2000
    fill(2)
    console.log(JSON.stringify({ one, two: process.memoryUsage.rss() - before }))`
  const child = run(t, ['--input-type=module', '--eval', script])
  const { one, two } = JSON.parse(await child.line(/two/)) as { one: number, two: number }
  t.comment(`one generation: ${Math.round(one / 1e6)} MB, two: ${Math.round(two / 1e6)} MB`)
  t.ok(one < 60e6, `${one} octets for a million`)
  t.ok(two < 100e6, `${two} octets for two million`)
})
