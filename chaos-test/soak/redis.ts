/** A Redis with Sentinels, whose primary is replaced now and then: as an operator does it, and as a crash does. */
import { setTimeout } from 'node:timers/promises'
import type { Test } from 'tap'
import type { RedisServer } from '../../test/fixtures/redis.ts'
import { soon, startWatched } from '../../test/fixtures/redis-servers.ts'

export interface FailingRedis {
  readonly url: string
  readonly failovers: number
  /** Whether the primary was replaced within so many milliseconds before the present. */
  wasReplaced (within: number): boolean
  replace (how: 'planned' | 'killed'): Promise<void>
}

/** A server that was killed is gone for so long. */
const GONE_MS = 5000

export async function startFailingRedis (t: Test): Promise<FailingRedis> {
  const { primary, replicas, sentinels: [sentinel], url } = await startWatched(t)
  const servers: readonly RedisServer[] = [primary, ...replicas]
  let failovers = 0
  let lastAt = -Infinity
  let isUnderWay = false
  const ask = (...args: readonly string[]) => sentinel?.cli('sentinel', ...args) ?? ''
  const present = () => Number(ask('get-master-addr-by-name', 'proxies').split('\n')[1])

  return {
    url,
    get failovers () { return failovers },
    wasReplaced: within => isUnderWay || performance.now() - lastAt < within,
    async replace (how) {
      const port = present()
      const server = servers.find(server => server.port === port)
      isUnderWay = true
      if (how === 'killed') {
        await server?.kill()
      } else {
        // Sentinels may still be busy with what was before.
        await soon(() => ask('failover', 'proxies').startsWith('OK'), 'a planned change')
      }
      await soon(() => present() !== port, 'another primary')
      failovers++
      lastAt = performance.now()
      isUnderWay = false
      if (how === 'planned') return
      await setTimeout(GONE_MS)
      await server?.start()
      lastAt = performance.now()
    }
  }
}
