/**
 * Limits that all replicas share, in the Redis that has their replay store: one script for each request, one for its
 * end.
 */
import { randomBytes } from 'node:crypto'
import type { ClientLimiter, ClientLimits } from './limiter.ts'
import { nameOf } from './names.ts'

export interface Scripts {
  /** Runs a script with one key. @throws the server does not answer, or refuses */
  evaluate (script: string, key: string, args: readonly (string | number)[]): Promise<unknown>
}

const PREFIX = 'polaris:limits:'
/**
 * By what the names of clients are hashed, so that the server has no addresses: made by the replica that comes first.
 */
const HASH_KEY = `${PREFIX}hash-key`

const GET_OR_SET = `
local known = redis.call('GET', KEYS[1])
if known then return known end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]`

/** As in limiter.ts, by the clock of the server. Answers: allowed, milliseconds to wait, milliseconds ahead. */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local interval, burst, bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local account = redis.call('HMGET', KEYS[1], 'r', 'b')
local requests = math.max(tonumber(account[1]) or now, now) + interval
local wait = 0
if interval > 0 then wait = requests - now - burst * interval end
if bytes > 0 then wait = math.max(wait, (tonumber(account[2]) or now) - now - 60000) end
if wait > 0.01 then return { 0, math.ceil(wait), math.ceil(requests - interval - now) } end
redis.call('HSET', KEYS[1], 'r', string.format('%.4f', requests))
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(requests - now, (tonumber(account[2]) or now) - now, 0)) + 1000)
return { 1, 0, math.ceil(requests - now) }`

const END = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bytes = math.max(tonumber(redis.call('HGET', KEYS[1], 'b')) or now, now) + tonumber(ARGV[1])
redis.call('HSET', KEYS[1], 'b', string.format('%.4f', bytes))
local left = redis.call('PTTL', KEYS[1])
redis.call('PEXPIRE', KEYS[1], math.max(left, math.ceil(bytes - now) + 1000))`

export function createSharedLimiter (
  scripts: Scripts, { requestRate, burst, bytesPerMinute }: ClientLimits
): ClientLimiter {
  const interval = requestRate > 0 ? 1000 / requestRate : 0
  let hashKey: Promise<string> | undefined

  async function keyOf (client: string): Promise<string> {
    hashKey ??= scripts.evaluate(GET_OR_SET, HASH_KEY, [randomBytes(32).toString('base64url')]).then(String)
    try {
      return PREFIX + nameOf(client, await hashKey)
    } catch (error) {
      // Asked for again with the next request.
      hashKey = undefined
      throw error
    }
  }

  return {
    async take (client) {
      const answer = await scripts.evaluate(TAKE, await keyOf(client), [interval, burst, bytesPerMinute])
      const [allowed = 0, wait = 0, ahead = 0] = (answer as unknown[]).map(Number)
      return {
        allowed: allowed === 1,
        retryAfter: allowed === 1 ? 0 : Math.max(1, Math.ceil(wait / 1000)),
        remaining: allowed === 1 && interval > 0 ? Math.max(0, Math.floor(burst - (ahead - 1) / interval + 1e-3)) : 0,
        reset: Math.ceil(ahead / 1000)
      }
    },
    end (client, bytes) {
      if (bytesPerMinute === 0) return
      // No request waits for it; that the server does not answer shows with the next request.
      keyOf(client).then(key => scripts.evaluate(END, key, [bytes * 60_000 / bytesPerMinute])).catch(() => undefined)
    }
  }
}
