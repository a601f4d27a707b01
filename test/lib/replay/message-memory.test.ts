/** The memory of v1 messages: each is admitted once, under one key, for as long as the key lives, in bounded memory. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createMemoryReplayStore } from '../../../lib/replay/memory.ts'
import { createKeyMemory, createWindowMemory, messageDigest } from '../../../lib/replay/message-memory.ts'
import { DIGEST_BYTES, ReplayStoreError } from '../../../lib/replay/store.ts'

const fresh = () => randomBytes(DIGEST_BYTES)

function keyMemory (capacity = 1000) {
  const state = { keyIds: ['a'], filled: 0 }
  return {
    state, memory: createKeyMemory({ keyIds: () => state.keyIds, capacity, onFilling: () => { state.filled++ } })
  }
}

t.test('a message is known by its key, its wrapped key and its tag, and by nothing else', async t => {
  const [wrapped, tag] = [randomBytes(512), randomBytes(16)]
  const digest = messageDigest('a', wrapped, tag)
  t.equal(digest.length, DIGEST_BYTES)
  t.ok(digest.equals(messageDigest('a', Uint8Array.from(wrapped), Uint8Array.from(tag))))
  for (const other of [
    messageDigest('b', wrapped, tag), messageDigest('a', randomBytes(512), tag),
    messageDigest('a', wrapped, randomBytes(16))
  ]) {
    t.notOk(digest.equals(other))
  }
})

for (const kind of ['key', 'window'] as const) {
  const make = () => kind === 'key'
    ? keyMemory().memory
    : createWindowMemory(createMemoryReplayStore({ remember: 60_000, capacity: 1000 }))

  t.test(`${kind}: a message is admitted once, in whatever company it comes again`, async t => {
    const memory = make()
    const [url, headers, body] = [fresh(), fresh(), fresh()]
    t.equal(await memory.admit('a', [url, headers, body]), true)
    for (const again of [
      [url], [headers], [body], [fresh(), body], [url, fresh()], [fresh(), headers, fresh()], [url, headers, body]
    ]) {
      t.equal(await memory.admit('a', again), false)
    }
    t.equal(memory.problem(), undefined)
  })

  t.test(`${kind}: the same message twice in one request is refused`, async t => {
    const memory = make()
    const twice = fresh()
    t.equal(await memory.admit('a', [twice, twice]), false)
    t.equal(await memory.admit('a', [fresh(), twice, fresh(), twice]), false)
  })

  t.test(`${kind}: of many at once, one is admitted`, async t => {
    const memory = make()
    const digests = [fresh(), fresh()]
    const answers = await Promise.all(Array.from({ length: 50 }, async () => memory.admit('a', digests)))
    t.equal(answers.filter(Boolean).length, 1)
  })
}

t.test('another key is asked for once, when three quarters of the room are taken, and the old one is remembered ' +
  'until it is gone', async t => {
  const { state, memory } = keyMemory(100)
  const old = Array.from({ length: 74 }, fresh)
  for (const digest of old) t.equal(memory.admit('a', [digest]), true)
  t.equal(state.filled, 0)
  t.equal(memory.admit('a', [fresh()]), true)
  t.equal(memory.admit('a', [fresh()]), true)
  t.equal(state.filled, 1)

  state.keyIds = ['b', 'a']
  for (const digest of old) t.equal(memory.admit('a', [digest]), false)
  t.equal(memory.admit('b', [fresh()]), true)
  for (let i = 0; i < 24; i++) t.equal(memory.admit('a', [fresh()]), true)
  t.equal(memory.admit('a', [fresh()]), false, 'full: its clients fetch the new key')

  state.keyIds = ['b']
  t.equal(memory.admit('a', [fresh()]), false, 'a key that is gone, whose messages are forgotten')
  state.keyIds = ['c', 'b']
  for (let i = 0; i < 80; i++) memory.admit('c', [fresh()])
  t.equal(state.filled, 2)
})

t.test('where no other key comes in time, what is new is refused, and what was seen is still known', async t => {
  const { memory } = keyMemory(10)
  const seen = Array.from({ length: 9 }, fresh)
  for (const digest of seen) memory.admit('a', [digest])
  t.throws(() => memory.admit('a', [fresh(), fresh()]), ReplayStoreError)
  for (const digest of seen) t.equal(memory.admit('a', [digest]), false)
  t.equal(memory.admit('a', [fresh()]), true)
})
