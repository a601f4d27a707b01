/** A replay store whose primary Sentinels watch, and replace. */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { noRedis } from '../../fixtures/redis.ts'
import { soon, startWatched } from '../../fixtures/redis-servers.ts'
import { admitsNoneAgain, load, openStore } from '../../fixtures/replay-load.ts'

const skip = noRedis

t.test('the primary that Sentinels name is used, and after its death the next one, in the middle of a load', {
  skip
}, async t => {
  const { primary, url } = await startWatched(t)
  const { store } = openStore(t, url)
  await soon(() => store.problem() === undefined, 'ready')
  const before = load(store)
  await setTimeout(500)
  await before.stop()
  t.strictSame(before.counts, { refused: 0, failed: 0, lastFailure: 0 })
  await setTimeout(200)
  const during = load(store)
  await primary.kill()
  await soon(() => store.problem() !== undefined, 'the loss is noticed')
  await soon(() => store.problem() === undefined, 'a new primary')
  await soon(() => during.counts.lastFailure < performance.now() - 400, 'served again')
  await during.stop()
  t.equal(during.counts.refused, 0)
  await admitsNoneAgain(t, store, before.admitted)
})

t.test('a planned change of the primary loses no request', { skip }, async t => {
  const { sentinels, url } = await startWatched(t)
  const { store } = openStore(t, url)
  await soon(() => store.problem() === undefined, 'ready')
  const { admitted, counts, stop } = load(store)
  await setTimeout(300)
  const port = () => sentinels[0]?.cli('sentinel', 'get-master-addr-by-name', 'proxies')
  const old = port()
  sentinels[0]?.cli('sentinel', 'failover', 'proxies')
  await soon(() => port() !== old, 'another primary')
  await setTimeout(2000)
  await soon(() => counts.lastFailure < performance.now() - 1000, 'served again')
  await stop()
  t.equal(counts.refused, 0)
  t.ok(admitted.length > 100)
})
