/**
 * Replay stores that replicas share: Redis or Valkey, one atomic SET NX PX per digest. When in doubt they refuse.
 */
import { Redis } from 'ioredis'
import { createGenerations, monotonic } from './generations.ts'
import { hasEvicted, parseEviction, refusalCode } from './redis-health.ts'
import type { Eviction } from './redis-health.ts'
import { ReplayStoreError } from './store.ts'
import type { ReplayStore } from './store.ts'

/** What becomes of a server: for the log, each change once. */
export type RedisState = 'connected' | 'disconnected' | 'refuses commands' | 'accepts commands' | 'may forget' | 'forgets' | 'cannot be checked'

export interface RedisOptions {
  /** redis:// or rediss://, with credentials and database number if need be. Never logged. */
  readonly url: string
  readonly onState?: (state: RedisState, reason?: string) => void
}

export interface RedisStoreOptions {
  /** What its keys begin with. */
  readonly prefix: string
  /** How long to remember, in milliseconds. */
  readonly remember: number
  /** Refuses everything for as long, once the server forgot keys to make room: digests may be among them. */
  readonly strict: boolean
}

export interface RedisConnection {
  /** A store of its own in the same server. Closing it leaves the connection open. */
  store (options: RedisStoreOptions): ReplayStore
  close (): void
}

const PROBE_KEY = 'polaris:replay:probe'
const COMMAND_TIMEOUT_MS = 2_000
/** A connection that owes an answer for this long is given up: its peer may be gone without a word, and another there. */
const SILENCE_TIMEOUT_MS = 3_000
const CONNECT_TIMEOUT_MS = 5_000
const MAX_RECONNECT_DELAY_MS = 2_000
const CHECK_INTERVAL_MS = 5_000
/** While the server refuses commands. */
const RECHECK_INTERVAL_MS = 1_000

export function connectRedis ({ url, onState }: RedisOptions): RedisConnection {
  const redis = new Redis(url, {
    // A command that meets no connection fails at once: the request is refused, not held.
    enableOfflineQueue: false,
    // Ours tries what stores do; this one would ask for more, and write to standard error if it may not.
    enableReadyCheck: false,
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
  let refusal: string | undefined
  let eviction: Eviction | undefined
  let checkable = true
  let forgotAt = -Infinity
  let timer: NodeJS.Timeout | undefined
  let closed = false

  redis.on('ready', () => {
    problem = 'checking'
    connected = true
    onState?.('connected')
    check()
  })
  // Codes only: messages hold the address.
  redis.on('error', (error: Error & { code?: string }) => { problem = `no connection (${error.code ?? refusalCode(error) ?? error.name})` })
  redis.on('close', () => {
    clearTimeout(timer)
    problem ??= 'no connection'
    // Once, not for every attempt to connect again.
    if (connected !== false) onState?.('disconnected', problem)
    connected = false
  })

  /** Tries what stores do, and looks whether the server forgets. */
  async function check (): Promise<void> {
    try {
      await set(PROBE_KEY, 1)
      await checkEviction()
    } catch (error) {
      // A connection that breaks is dealt with where it is noticed.
      if (refusalCode(error) === undefined) return
    }
    if (closed || redis.status !== 'ready') return
    problem = undefined
    checkIn(refusal === undefined ? CHECK_INTERVAL_MS : RECHECK_INTERVAL_MS)
  }

  function checkIn (time: number): void {
    clearTimeout(timer)
    if (!closed) timer = setTimeout(check, time).unref()
  }

  async function checkEviction (): Promise<void> {
    let seen: Eviction
    try {
      seen = parseEviction(await redis.info())
    } catch (error) {
      const code = refusalCode(error)
      if (code === undefined) throw error
      if (checkable) onState?.('cannot be checked', `INFO: ${code}`)
      checkable = false
      return
    }
    if (seen.policy !== undefined && seen.policy !== eviction?.policy) onState?.('may forget', `maxmemory-policy ${seen.policy}`)
    if (hasEvicted(eviction, seen)) {
      forgotAt = monotonic()
      onState?.('forgets', `maxmemory-policy ${seen.policy}`)
    }
    eviction = seen
  }

  /** @returns whether the key was not there */
  async function set (key: string, ttl: number): Promise<boolean> {
    try {
      const isNew = await redis.set(key, '1', 'PX', ttl, 'NX') === 'OK'
      if (refusal !== undefined) onState?.('accepts commands')
      refusal = undefined
      return isNew
    } catch (error) {
      const code = refusalCode(error)
      if (code !== undefined && code !== refusal) {
        refusal = code
        onState?.('refuses commands', code)
        checkIn(RECHECK_INTERVAL_MS)
      }
      throw error
    }
  }

  return {
    store ({ prefix, remember, strict }) {
      let horizon = -Infinity
      // What this process admitted stays refused by its date when the server has forgotten it: that takes two spans.
      const generations = createGenerations(remember, monotonic, () => ({ latest: -Infinity }), ({ latest }) => { horizon = Math.max(horizon, latest) })
      const forgets = () => strict && monotonic() < forgotAt + remember
      return {
        async admit (digest, date) {
          const { current } = generations.now()
          if (date !== undefined && date <= horizon) return false
          if (forgets()) throw new ReplayStoreError('The replay store forgets')
          try {
            if (!await set(prefix + digest.toString('base64url'), date === undefined ? remember : 2 * remember)) return false
          } catch (cause) {
            throw new ReplayStoreError('The replay store does not answer', { cause })
          }
          if (date !== undefined) current.latest = Math.max(current.latest, date)
          return true
        },
        problem () {
          if (problem !== undefined) return problem
          if (refusal !== undefined) return `refuses commands (${refusal})`
          return forgets() ? `forgets keys (maxmemory-policy ${eviction?.policy ?? 'unknown'})` : undefined
        },
        close: async () => undefined
      }
    },
    close () {
      closed = true
      clearTimeout(timer)
      redis.disconnect()
    }
  }
}
