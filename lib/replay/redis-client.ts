/** Clients of Redis as people have it: one server, a name that Sentinels keep, or a cluster. */
import { Cluster, Redis } from 'ioredis'

/** Of every connection. Narrower than the client's own type, which has optional fields that must not be undefined. */
interface Login {
  readonly username?: string
  readonly password?: string
  readonly tls?: object
}

/** What the setting says. */
export interface RedisTarget {
  readonly nodes: readonly { readonly host: string, readonly port: number }[]
  /** The name under which Sentinels know the primary; then the nodes are the Sentinels. */
  readonly sentinelName: string | undefined
  readonly db: number | undefined
  readonly login: Login
}

const REDIS_PORT = 6379
const SENTINEL_PORT = 26379
const COMMAND_TIMEOUT_MS = 2_000
/**
 * A connection that owes an answer for this long is given up: its peer may be gone without a word, and another there.
 */
const SILENCE_TIMEOUT_MS = 3_000
const CONNECT_TIMEOUT_MS = 5_000
const MAX_RECONNECT_DELAY_MS = 2_000

/** Of every connection, whatever is behind it. */
const CONNECTION = {
  maxRetriesPerRequest: 0,
  // Ours tries what stores do; this one would ask for more, and write to standard error if it may not.
  enableReadyCheck: false,
  // Commands are sent again where it is known what became of them.
  autoResendUnfulfilledCommands: false,
  commandTimeout: COMMAND_TIMEOUT_MS,
  socketTimeout: SILENCE_TIMEOUT_MS,
  connectTimeout: CONNECT_TIMEOUT_MS
} as const

/** Until the next attempt to connect, in milliseconds. */
export const pause = (attempt: number): number => Math.min(
  50 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_DELAY_MS
) * (0.5 + Math.random() / 2)

/**
 * Reads one URL, or several separated by commas: nodes of a cluster, or Sentinels. What they have in common counts as
 * the first one says it.
 *
 * @throws {TypeError} not such a URL
 */
export function parseTarget (text: string): RedisTarget {
  const urls = text.split(',').map(part => new URL(part.trim()))
  const [{ protocol, username, password, pathname }] = urls as [URL]
  const [, tls, sentinel] = /^redis(s?)(-sentinel)?:$/.exec(protocol) ?? []
  if (tls === undefined || urls.some(url => url.protocol !== protocol || url.hostname === '')) {
    throw new TypeError('Not a Redis URL')
  }
  const name = decode(pathname.slice(1))
  if (sentinel !== undefined && name === '') throw new TypeError('The name of the primary is missing')
  if (sentinel === undefined && !/^\d*$/.test(name)) throw new TypeError('A database is named by a number')
  return {
    nodes: urls.map(({ hostname, port }) => ({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port) || (sentinel === undefined ? REDIS_PORT : SENTINEL_PORT)
    })),
    sentinelName: sentinel === undefined ? undefined : name,
    db: sentinel === undefined && name !== '' ? Number(name) : undefined,
    login: {
      ...username !== '' && { username: decode(username) },
      ...password !== '' && { password: decode(password) },
      ...tls === 's' && { tls: {} }
    }
  }
}

/** A percent sign that encodes nothing stands for itself. */
function decode (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A cluster if several nodes are named; one server, or the primary that Sentinels name, otherwise. */
export function connectTarget (target: RedisTarget): Redis | Cluster {
  return target.sentinelName === undefined && target.nodes.length > 1 ? connectCluster(target) : connectServer(target)
}

/** One server, or the primary that Sentinels name. */
export function connectServer ({ nodes, sentinelName, db, login }: RedisTarget): Redis {
  const common = {
    ...CONNECTION,
    ...login,
    ...db !== undefined && { db },
    // A command that meets no connection fails at once: whether it waits is decided elsewhere.
    enableOfflineQueue: false,
    retryStrategy: pause
  }
  if (sentinelName === undefined) return new Redis({ ...common, ...nodes[0] })
  return new Redis({
    ...common,
    sentinels: [...nodes],
    name: sentinelName,
    role: 'master',
    failoverDetector: true,
    sentinelRetryStrategy: pause,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
    ...login.tls !== undefined && { enableTLSForSentinelMode: true, sentinelTLS: {} }
  })
}

/** Every node that the first one to answer knows of. MOVED and ASK are followed. */
export function connectCluster ({ nodes, login }: RedisTarget): Cluster {
  return new Cluster([...nodes], {
    enableOfflineQueue: false,
    enableReadyCheck: false,
    clusterRetryStrategy: pause,
    slotsRefreshInterval: 5_000,
    slotsRefreshTimeout: COMMAND_TIMEOUT_MS,
    // Names in certificates are those that nodes announce.
    dnsLookup: (address, callback) => callback(null, address),
    redisOptions: { ...CONNECTION, ...login }
  })
}
