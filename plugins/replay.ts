/** polaris.replay: remembers OHTTP requests, so that none is forwarded twice. */
import fp from 'fastify-plugin'
import { rememberFor } from '../lib/exchanges/ohttp/open.ts'
import { provide } from '../lib/polaris.ts'
import { createMemoryReplayStore } from '../lib/replay/memory.ts'
import type { ReplayStore } from '../lib/replay/store.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly replay: ReplayStore
  }
}

export interface ReplayPluginOptions {
  /** A store of your own, such as one that several processes share. Closed with the app. */
  replayStore?: ReplayStore
}

export default fp<ReplayPluginOptions>(async function replay (app, options) {
  const { config, readiness } = app.polaris
  const remember = rememberFor(config.replayWindow)
  const replay = options.replayStore ?? (config.replayStore === 'memory'
    ? createMemoryReplayStore({ remember, capacity: config.replayCapacity })
    : await redisStore(remember))
  provide(app.polaris, 'replay', replay)

  readiness.add('replay protection', () => config.enableOhttp ? replay.problem() : undefined)
  app.addHook('onClose', () => replay.close())

  /** Loaded only where it is used: the client takes 40 ms to load. */
  async function redisStore (remember: number): Promise<ReplayStore> {
    const { createRedisReplayStore } = await import('../lib/replay/redis.ts')
    return createRedisReplayStore({
      url: config.replayStore,
      remember,
      onState: (state, reason) => state === 'connected' ? app.log.info('replay store connected') : app.log.warn({ reason }, 'replay store disconnected')
    })
  }
}, { name: 'polaris-replay', dependencies: ['polaris-config'] })
