/**
 * polaris.replay and polaris.messages: remember OHTTP and EHBP requests, and v1 messages, so that none is opened twice.
 */
import fp from 'fastify-plugin'
import { provide } from '../lib/polaris.ts'
import { messageMemoryFrom, remembersMessages } from '../lib/replay/from-config.ts'
import { createMemoryReplayStore } from '../lib/replay/memory.ts'
import type { MessageMemory } from '../lib/replay/message-memory.ts'
import type { RedisConnection } from '../lib/replay/redis.ts'
import { clockToleranceFor, rememberFor } from '../lib/replay/remember.ts'
import type { ReplayStore } from '../lib/replay/store.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly replay: ReplayStore
    /** Of Polaris v1; undefined if none are remembered. */
    readonly messages: MessageMemory | undefined
    /** That of the replicas' replay store, if they share one. */
    readonly sharedStore: RedisConnection | undefined
  }
}

export interface ReplayPluginOptions {
  /** A store of your own, such as one that several processes share. Closed with the app. */
  readonly replayStore?: ReplayStore
  /** The same for the messages of Polaris v1. */
  readonly messageMemory?: MessageMemory
}

export default fp<ReplayPluginOptions>(async function replay (app, options) {
  const { config, keys, readiness } = app.polaris
  const remember = rememberFor(config)
  const redis = config.replayStore === 'memory' ? undefined : await connect()

  const replay = options.replayStore ?? redis?.store(
    { prefix: 'polaris:replay:', remember, strict: true, clockTolerance: clockToleranceFor(config) }
  ) ??
    createMemoryReplayStore({ remember, capacity: config.replayCapacity })
  const shared = redis?.store({ prefix: 'polaris:replay:v1:', remember: config.v1ReplayWindow, strict: false })
  const messages =
    remembersMessages(config) ? options.messageMemory ?? messageMemoryFrom(config, keys, shared, app.log) : undefined
  provide(app.polaris, 'sharedStore', redis)
  provide(app.polaris, 'replay', replay)
  provide(app.polaris, 'messages', messages)

  readiness.add('replay protection', () => config.enableOhttp || config.enableEhbp ? replay.problem() : undefined)
  readiness.add('v1 replay protection', () => messages?.problem())
  app.addHook('onClose', async () => {
    await Promise.all([replay.close(), messages?.close()])
    redis?.close()
  })

  /** Loaded only if it is used: the client takes 40 ms to load. */
  async function connect (): Promise<RedisConnection> {
    const { connectRedis } = await import('../lib/replay/redis.ts')
    return connectRedis({
      url: config.replayStore,
      onState (state, reason) {
        const fine = state === 'connected' || state === 'accepts commands' || state === 'agrees about the time'
        app.log[fine ? 'info' : 'warn']({ reason }, `replay store ${state}`)
      }
    })
  }
}, { name: 'polaris-replay', dependencies: ['polaris-config', 'polaris-keys'] })
