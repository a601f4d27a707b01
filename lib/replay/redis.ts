/** A replay store that replicas share: Redis or Valkey, one atomic SET NX PX per request. When in doubt it refuses. */
import { Redis } from 'ioredis'
import { ReplayStoreError } from './store.ts'
import type { ReplayStore } from './store.ts'

export interface RedisReplayOptions {
  /** redis:// or rediss://, with credentials and database number if need be. Never logged. */
  readonly url: string
  /** How long to remember, in milliseconds. */
  readonly remember: number
  /** Told when the connection comes and goes, and in the latter case why. */
  readonly onState?: (state: 'connected' | 'disconnected', reason?: string) => void
}

const KEY_PREFIX = 'polaris:replay:'
const COMMAND_TIMEOUT_MS = 2_000
/** A connection that owes an answer for this long is given up: its peer may be gone without a word, and another there. */
const SILENCE_TIMEOUT_MS = 3_000
const CONNECT_TIMEOUT_MS = 5_000
const MAX_RECONNECT_DELAY_MS = 2_000

export function createRedisReplayStore ({ url, remember, onState }: RedisReplayOptions): ReplayStore {
  const redis = new Redis(url, {
    // A command that meets no connection fails at once: the request is refused, not held.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    // A command whose answer was lost may have been carried out: sent again, it would call the request a replay.
    autoResendUnfulfilledCommands: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // After a failover the old primary answers, but takes nothing: who connects anew gets the new one.
    reconnectOnError: error => error.message.startsWith('READONLY'),
    retryStrategy: attempt => Math.min(50 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_DELAY_MS) * (0.5 + Math.random() / 2)
  })
  let problem: string | undefined = 'connecting'
  let connected: boolean | undefined
  redis.on('ready', () => {
    problem = undefined
    connected = true
    onState?.('connected')
  })
  // Codes only: messages hold the address.
  redis.on('error', (error: Error & { code?: string }) => { problem = `no connection (${error.code ?? error.name})` })
  redis.on('close', () => {
    problem ??= 'no connection'
    // Once, not for every attempt to connect anew.
    if (connected !== false) onState?.('disconnected', problem)
    connected = false
  })

  return {
    async admit (digest) {
      try {
        return await redis.set(KEY_PREFIX + digest.toString('base64url'), '1', 'PX', remember, 'NX') === 'OK'
      } catch (cause) {
        throw new ReplayStoreError('The replay store does not answer', { cause })
      }
    },
    problem: () => problem,
    async close () {
      redis.disconnect()
    }
  }
}
