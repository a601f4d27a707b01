/**
 * What clients see when the clock of a replica jumps by five minutes, and back. docs/failures.md has it as a table.
 */
import t from 'tap'
import { untilReady } from '../test/fixtures/process.ts'
import { noRedis, startRedis } from '../test/fixtures/redis.ts'
import { createClock, noFakeTime } from './fixtures/clock.ts'
import { ENCRYPTED, fetchKeys, prepare } from './fixtures/exchange.ts'
import { startReplicas, startWorkloadProcess, untilNotReady } from './fixtures/group.ts'
import { forwardedOnce, outcomes, startLoad } from './fixtures/load.ts'

t.setTimeout(900_000)
const skip = noRedis || noFakeTime
const JUMP = 300
const settings = {
  POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true',
  POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true',
  // A jump most likely leads to another epoch, whose keys the others know.
  POLARIS_CONTAINER_HPKE_ROTATION: '6m',
  POLARIS_CONTAINER_HPKE_RETIREMENT: '10m',
  POLARIS_CONTAINER_ATTESTATION_TYPE: 'simulated',
  POLARIS_CONTAINER_ATTESTATION_REQUIRED: 'true'
}
const UNDATED = ['ehbp', 'polaris-v1'] as const

for (const [direction, offset] of [['ahead', JUMP], ['behind', -JUMP]] as const) {
  for (const count of [2, 3]) {
    t.test(`the clock of a replica is five minutes ${direction} (${count} replicas)`, { skip }, async t => {
      const workload = await startWorkloadProcess(t)
      const { url: redis } = await startRedis(t)
      const clock = createClock(t)
      const replicas = await startReplicas(t, workload, { ...settings, POLARIS_CONTAINER_REPLAY_STORE: redis },
        Array.from({ length: count }, (_, i) => i === 0 ? clock.env : {}))
      const [first, second] = replicas
      const load = await startLoad(replicas, ENCRYPTED)
      t.strictSame(outcomes(await load.next()), ['answered'])

      clock.set(offset)
      await untilNotReady(first!.url, new RegExp(`replay protection: its clock is ${-offset} s ahead`))
      await load.next()
      const seen = await load.next()
      t.strictSame(
        outcomes(seen, ({ replica, protocol }) => replica === 0 && protocol.startsWith('ohttp')), ['400 date'],
        'OHTTP, at this replica'
      )
      t.strictSame(
        outcomes(seen, ({ replica, protocol }) => replica === 0 && UNDATED.some(name => name === protocol)),
        ['answered'], 'what has no date'
      )
      t.strictSame(outcomes(seen, ({ replica }) => replica !== 0), ['answered'], 'at the others')

      // What others may have forwarded, and Redis forgotten, when this clock shows its date.
      const dated = await prepare(load.keys, 'ohttp', { date: new Date(Date.now() + offset * 1000) })
      t.equal(await dated.send(first!.url), '503 replay-store')
      t.equal(await dated.send(second!.url), '400 date')

      // The keys that it publishes are known to the others.
      const keys = await fetchKeys(first!.url)
      for (const { url } of replicas.slice(1)) {
        for (const protocol of ENCRYPTED) t.equal(await (await prepare(keys, protocol)).send(url), 'answered', protocol)
      }
      const { status } = await fetch(`${first!.url}/polaris-container/attestation`)
      t.equal(status, 200, 'it has evidence')

      clock.set(0)
      await untilReady(first!.url)
      await load.next()
      t.strictSame(outcomes(await load.next()), ['answered'], 'once the clock is right again')
      await load.stop()
      forwardedOnce(t, workload)
    })
  }
}
