/**
 * What clients see when replicas lose the Redis that they share: one of them, or all; both ways, or one.
 * docs/failures.md has it as a table.
 */
import t from 'tap'
import type { Test } from 'tap'
import { untilReady } from '../test/fixtures/process.ts'
import { noRedis } from '../test/fixtures/redis.ts'
import { ENCRYPTED, prepare } from './fixtures/exchange.ts'
import type { Protocol } from './fixtures/exchange.ts'
import { startReplicas, startWorkloadProcess, untilNotReady } from './fixtures/group.ts'
import { forwardedOnce, outcomes, sawOnly, startLoad } from './fixtures/load.ts'
import { noNamespaces, startDistantRedis } from './fixtures/network.ts'
import type { Link } from './fixtures/network.ts'

t.setTimeout(900_000)
const skip = noRedis || noNamespaces
const encrypted = {
  POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true', POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true'
}

async function start (t: Test, count: number, protocols: readonly Protocol[], common: Record<string, string>) {
  const links = await startDistantRedis(t, count)
  const workload = await startWorkloadProcess(t)
  const replicas = await startReplicas(
    t, workload, common, links.map(({ url }) => ({ POLARIS_CONTAINER_REPLAY_STORE: url }))
  )
  const load = await startLoad(replicas, protocols)
  t.strictSame(outcomes(await load.next()), ['answered'])
  return { links, workload, replicas, load }
}

const cuts = {
  'a replica cannot reach Redis': (link: Link) => link.cut(),
  'the answers of Redis do not reach a replica': (link: Link) => link.cutAnswers()
}
for (const [name, cut] of Object.entries(cuts)) {
  for (const count of [2, 3]) {
    t.test(`${name} (${count} replicas)`, { skip }, async t => {
      const { links, workload, replicas, load } = await start(t, count, ENCRYPTED, encrypted)
      // One that was admitted before is not admitted again, here or there.
      const earlier = await prepare(load.keys, 'ohttp')
      t.equal(await earlier.send(replicas[0]!.url), 'answered')
      cut(links[0]!)
      await untilNotReady(replicas[0]!.url, /replay protection/)
      const during = await load.next()
      sawOnly(t, during, ({ replica }) => replica === 0, ['answered', '503 replay-store'], 'the one that is cut off')
      sawOnly(t, during, ({ replica }) => replica !== 0, ['answered'], 'the others')
      const later = await load.next()
      t.strictSame(outcomes(later, ({ replica }) => replica === 0), ['503 replay-store'])
      t.strictSame(outcomes(later, ({ replica }) => replica !== 0), ['answered'])
      t.equal(await earlier.send(replicas[0]!.url), '503 replay-store')
      t.equal(await earlier.send(replicas[1]!.url), '400 cannot-open')

      links[0]!.join()
      await untilReady(replicas[0]!.url)
      await load.next()
      t.strictSame(outcomes(await load.next()), ['answered'], 'once it is reached again')
      for (const { url } of replicas) t.equal(await earlier.send(url), '400 cannot-open')
      await load.stop()
      forwardedOnce(t, workload)
    })
  }
}

t.test('no replica can reach Redis', { skip }, async t => {
  const { links, workload, replicas, load } = await start(t, 3, ENCRYPTED, encrypted)
  for (const link of links) link.cut()
  for (const { url } of replicas) await untilNotReady(url, /replay protection/)
  sawOnly(t, await load.next(), () => true, ['answered', '503 replay-store'], 'all')
  t.strictSame(outcomes(await load.next()), ['503 replay-store'])
  for (const link of links) link.join()
  for (const { url } of replicas) await untilReady(url)
  await load.next()
  t.strictSame(outcomes(await load.next()), ['answered'], 'once it is reached again')
  await load.stop()
  forwardedOnce(t, workload)
})

t.test('unencrypted requests, and limits of clients, do without Redis', { skip }, async t => {
  const { links, replicas, load } = await start(t, 2, ['plain'], { POLARIS_CONTAINER_CLIENT_REQUEST_RATE: '1000000' })
  links[0]!.cut()
  await untilNotReady(replicas[0]!.url, /replay protection/)
  t.strictSame(outcomes(await load.next()), ['answered'])
  await replicas[0]!.server.line(/client limits count in this instance alone/)
  links[0]!.join()
  await untilReady(replicas[0]!.url)
  await replicas[0]!.server.line(/client limits are shared again/)
  t.strictSame(outcomes(await load.next()), ['answered'])
  await load.stop()
})
