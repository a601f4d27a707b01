/** A replay store whose primary Sentinels watch, and replace. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
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

/**
 * A soak found a replica that never connected again: the client had ended itself, when the news of a failover reached
 * it while it was asking a Sentinel for the new primary.
 */
t.test('news of a failover that come while a Sentinel is asked are not the end', { skip }, async t => {
  const { primary, sentinels: [sentinel] } = await startWatched(t)
  const port = await startSlowPath(t, sentinel?.port ?? 0)
  const { store } = openStore(t, `redis-sentinel://127.0.0.1:${port}/proxies`)
  await soon(() => store.problem() === undefined, 'ready')
  await primary.kill()
  await soon(() => store.problem() !== undefined, 'the loss is noticed')
  await soon(() => store.problem() === undefined, 'served again')
  t.equal(await store.admit(Buffer.alloc(16, 7)), true)
})

/** Questions take 0.6 s to reach the server on the other side; what it sends by itself comes at once. */
async function startSlowPath (t: Test, port: number): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => { near.destroy(); far.destroy() }).on('close', () => { near.destroy(); far.destroy() })
    }
    far.pipe(near)
    near.on('data', async piece => {
      await setTimeout(600)
      far.write(piece)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
