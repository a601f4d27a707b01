/** A replay store that is a cluster: each key has its node, keys move, nodes die. */
import { randomBytes } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { noRedis } from '../../fixtures/redis.ts'
import { soon, startCluster } from '../../fixtures/redis-servers.ts'
import { admitsNoneAgain, load, openStore } from '../../fixtures/replay-load.ts'

const skip = noRedis

for (const how of ['one node', 'all nodes'] as const) {
  t.test(`a cluster is found by the address of ${how}, and every key has its node`, { skip }, async t => {
    const nodes = await startCluster(t)
    const { store, states } = openStore(
      t, (how === 'one node' ? nodes.slice(0, 1) : nodes).map(({ url }) => url).join()
    )
    await soon(() => store.problem() === undefined, 'ready')
    const digests = Array.from({ length: 300 }, () => randomBytes(16))
    for (const digest of digests) t.equal(await store.admit(digest), true)
    await admitsNoneAgain(t, store, digests)
    for (const node of nodes) t.ok(Number(node.cli('dbsize')) > 50, 'has a part of them')
    t.strictSame(states, ['connected'])
  })
}

t.test('keys that move to another node are followed: nothing is lost, nothing admitted twice', { skip }, async t => {
  const nodes = await startCluster(t)
  const { store } = openStore(t, nodes[0]?.url ?? '')
  await soon(() => store.problem() === undefined, 'ready')
  const { admitted, counts, stop } = load(store)
  await setTimeout(300)
  const [from, to] = nodes.map(node => node.cli('cluster', 'myid').trim())
  const moved = spawnSync('redis-cli', [
    '--cluster', 'reshard', `127.0.0.1:${nodes[0]?.port}`, '--cluster-from', from ?? '', '--cluster-to', to ?? '',
    '--cluster-slots', '1500', '--cluster-yes'
  ], { encoding: 'utf8' })
  t.equal(moved.status, 0, moved.stdout.slice(-300))
  await setTimeout(300)
  await stop()
  t.strictSame(counts, { refused: 0, failed: 0, lastFailure: 0 })
  await admitsNoneAgain(t, store, admitted)
})

t.test('a node of a cluster that dies gives way to its replica, in the middle of a load', { skip }, async t => {
  const nodes = await startCluster(t, 1)
  const { store } = openStore(t, nodes.map(({ url }) => url).join())
  await soon(() => store.problem() === undefined, 'ready')
  const victim = nodes.find(node => node.cli('info', 'replication').includes('role:master'))
  const before = load(store)
  await setTimeout(500)
  await before.stop()
  t.strictSame(before.counts, { refused: 0, failed: 0, lastFailure: 0 })
  // Replication is asynchronous: what the last milliseconds brought may die with the node.
  await setTimeout(200)
  const during = load(store)
  await victim?.kill()
  const others = nodes.filter(node => node !== victim)
  await soon(
    () => others.filter(node => node.cli('info', 'replication').includes('role:master')).length === 3, 'a new primary'
  )
  await soon(() => during.counts.lastFailure < performance.now() - 2000, 'served again')
  await during.stop()
  t.equal(during.counts.refused, 0, 'no new one is taken for a replay')
  await soon(() => store.problem() === undefined, 'ready')
  await admitsNoneAgain(t, store, before.admitted)
})
