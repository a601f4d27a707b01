/** What a Redis server that answers may still do wrong: refuse commands, or forget keys to make room for others. */

/**
 * The code in front of an error that the server sent (`NOPERM`, `READONLY`, `OOM`, `MOVED`, …); undefined for any other
 * error.
 */
export function refusalCode (error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined
  // The rest may hold names of keys and users.
  return /^[A-Z]{2,20}\b/.exec(error.message)?.[0] ?? 'ERR'
}

const PASSING = new Set(['READONLY', 'LOADING', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'MOVED', 'ASK'])

/** Whether a refusal says that another server is taking over: soon it will be another answer. */
export function isPassing (code: string): boolean {
  return PASSING.has(code)
}

/** What `INFO` says of one server. */
export interface ServerInfo {
  /** It is a node of a cluster, and has a part of the keys. */
  readonly clustered: boolean
  /** The policy, if the server forgets keys with a time to live once its memory is full; undefined if it does not. */
  readonly policy: string | undefined
  /** Keys that it forgot so far. */
  readonly evicted: number
  /** Of this run of the server: the count starts again with the next. */
  readonly run: string
  /** Its clock, in milliseconds since 1970, by which keys expire; undefined if it does not say. */
  readonly time: number | undefined
}

export function parseInfo (info: string): ServerInfo {
  const field = (name: string) => new RegExp(`^${name}:([^\\r\\n]*)`, 'm').exec(info)?.[1]
  const policy = field('maxmemory_policy')
  const time = Number(field('server_time_usec') ?? NaN) / 1000
  const evicts = policy !== undefined && policy !== 'noeviction' && field('maxmemory') !== '0'
  return {
    clustered: field('redis_mode') === 'cluster' || field('server_mode') === 'cluster',
    policy: evicts ? policy : undefined,
    evicted: Number(field('evicted_keys') ?? 0),
    run: field('run_id') ?? '',
    time: Number.isFinite(time) ? time : undefined
  }
}
