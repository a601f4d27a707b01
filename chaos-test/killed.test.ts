/** What clients see when something is killed: a worker, a replica, the workload. docs/failures.md has it as a table. */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { noRedis, startRedis } from '../test/fixtures/redis.ts'
import { startWatched } from '../test/fixtures/redis-servers.ts'
import { pids, until } from '../test/fixtures/workers.ts'
import { ENCRYPTED, prepare } from './fixtures/exchange.ts'
import type { Outcome } from './fixtures/exchange.ts'
import { startReplicas, startWorkloadProcess, untilNotReady } from './fixtures/group.ts'
import { forwardedOnce, outcomes, sawOnly, startLoad } from './fixtures/load.ts'
import { untilReady } from '../test/fixtures/process.ts'

const settings = {
  POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true', POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true'
}
t.setTimeout(900_000)
const counts = [2, 3]

for (const count of counts) {
  t.test(`a worker is killed (${count} replicas)`, { skip: noRedis }, async t => {
    const workload = await startWorkloadProcess(t)
    const { url: redis } = await startRedis(t)
    const common = { ...settings, POLARIS_CONTAINER_REPLAY_STORE: redis }
    const replicas = await startReplicas(
      t, workload, common, Array.from({ length: count }, (_, i) => i === 0 ? { POLARIS_CONTAINER_WORKERS: '2' } : {})
    )
    const [first] = replicas
    const load = await startLoad(replicas, ENCRYPTED)
    t.strictSame(outcomes(await load.next()), ['answered'])

    for (const pid of first!.serving()) {
      const before = pids(first!.server, /"Server listening/).size
      process.kill(pid, 'SIGKILL')
      await until(() => pids(first!.server, /"Server listening/).size === before + 1)
      const seen = await load.next()
      sawOnly(t, seen, ({ replica }) => replica === 0, ['answered', 'broken'], 'at this replica')
      sawOnly(t, seen, ({ replica }) => replica !== 0, ['answered'], 'at the others')
    }
    t.strictSame(outcomes(await load.next()), ['answered'], 'afterwards, with the same keys')
    await load.stop()
    forwardedOnce(t, workload)
  })

  t.test(`a replica is killed (${count} replicas)`, { skip: noRedis }, async t => {
    const workload = await startWorkloadProcess(t)
    const { url: redis } = await startRedis(t)
    const common = { ...settings, POLARIS_CONTAINER_REPLAY_STORE: redis }
    const replicas = await startReplicas(
      t, workload, common, Array.from({ length: count }, (_, i) => i === 0 ? { POLARIS_CONTAINER_WORKERS: '2' } : {})
    )
    const load = await startLoad(replicas, ENCRYPTED)
    t.strictSame(outcomes(await load.next()), ['answered'])
    // The first one has workers, which end with the process that started them.
    for (const [at, victim] of replicas.entries()) {
      await victim.kill()
      const seen = await load.next()
      sawOnly(t, seen, ({ replica }) => replica === at, ['answered', 'broken', 'refused'], `replica ${at}`)
      t.ok(outcomes(seen, ({ replica }) => replica === at).includes('refused'))
      sawOnly(t, seen, ({ replica }) => replica !== at, ['answered'], 'the others')
      await victim.start()
      await untilReady(victim.url)
      await load.next()
      t.strictSame(outcomes(await load.next()), ['answered'], 'once it is back, with the same keys')
    }
    await load.stop()
    forwardedOnce(t, workload)
  })

  t.test(`the primary of Redis is killed (${count} replicas)`, { skip: noRedis }, async t => {
    const { primary, url: redis } = await startWatched(t)
    const workload = await startWorkloadProcess(t)
    const replicas = await startReplicas(
      t, workload, { ...settings, POLARIS_CONTAINER_REPLAY_STORE: redis }, Array.from({ length: count }, () => ({}))
    )
    const load = await startLoad(replicas, ENCRYPTED)
    t.strictSame(outcomes(await load.next()), ['answered'])
    await primary.kill()
    for (const { url } of replicas) await untilNotReady(url, /replay protection/)
    for (const { url } of replicas) await untilReady(url)
    sawOnly(t, await load.next(), () => true, ['answered', '503 replay-store'], 'everywhere')
    t.strictSame(outcomes(await load.next()), ['answered'], 'with the primary that took its place')
    await load.stop()
    forwardedOnce(t, workload)
  })

  t.test(`the workload is killed (${count} replicas)`, { skip: noRedis }, async t => {
    const workload = await startWorkloadProcess(t)
    const { url: redis } = await startRedis(t)
    const replicas = await startReplicas(t, workload, {
      ...settings, POLARIS_CONTAINER_REPLAY_STORE: redis, POLARIS_CONTAINER_READY_CHECKS_WORKLOAD: 'true'
    }, Array.from({ length: count }, () => ({})))
    const load = await startLoad(replicas, ENCRYPTED)
    t.strictSame(outcomes(await load.next()), ['answered'])

    const held: Promise<[string, Outcome]>[] = []
    for (const conduct of ['hold', 'hold-within'] as const) {
      for (const protocol of ENCRYPTED) {
        const { id, send } = await prepare(load.keys, protocol, { conduct })
        held.push(send(replicas[0]!.url).then(outcome => [`${conduct} ${protocol}`, outcome]))
        await until(() => workload.forwarded.has(id))
      }
    }
    await setTimeout(200)
    await workload.kill()
    t.strictSame(Object.fromEntries(await Promise.all(held)), {
      ...Object.fromEntries(ENCRYPTED.map(protocol => [`hold ${protocol}`, '502 upstream-unreachable'])),
      'hold-within ohttp': '502 upstream-unreachable',
      'hold-within polaris-v1': '502 upstream-unreachable',
      'hold-within ohttp-chunked': 'broken',
      'hold-within ehbp': 'broken'
    }, 'what is buffered can still be an error; what is streamed breaks off')
    const seen = await load.next()
    sawOnly(t, seen, () => true, ['answered', 'broken', '502 upstream-unreachable'], 'everywhere')
    for (const { url } of replicas) await untilNotReady(url, /workload: does not accept connections/)
    await load.next()
    t.strictSame(outcomes(await load.next()), ['502 upstream-unreachable'])

    await workload.start()
    for (const { url } of replicas) await untilReady(url)
    await load.next()
    t.strictSame(outcomes(await load.next()), ['answered'], 'once it is back')
    await load.stop()
    forwardedOnce(t, workload)
  })
}
