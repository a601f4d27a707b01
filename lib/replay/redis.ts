/**
 * Replay stores that replicas share: Redis or Valkey, one atomic SET NX PX per digest. When in doubt they refuse.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import type { Redis } from 'ioredis'
import { createClockComparison } from './clock-comparison.ts'
import { createGenerations, monotonic } from './generations.ts'
import { connectCluster, connectTarget, parseTarget, pause } from './redis-client.ts'
import { isPassing, parseInfo, refusalCode } from './redis-health.ts'
import { ReplayStoreError } from './store.ts'
import type { ReplayStore } from './store.ts'

/** What becomes of a server: for the log, each change once. */
export type RedisState = 'connected' | 'disconnected' | 'refuses commands' | 'accepts commands' | 'may forget'
  | 'forgets' | 'cannot be checked' | 'disagrees about the time' | 'agrees about the time'

export interface RedisOptions {
  /** What `parseTarget` reads, with credentials and database number if need be. Never logged. */
  readonly url: string
  readonly onState?: (state: RedisState, reason?: string) => void
  /** The clock of this machine, in milliseconds since 1970. */
  readonly now?: () => number
}

export interface RedisStoreOptions {
  /** What its keys begin with. */
  readonly prefix: string
  /** How long to remember, in milliseconds. */
  readonly remember: number
  /** Refuses everything for as long, once the server forgot keys to make room: digests may be among them. */
  readonly strict: boolean
  /**
   * While the clocks of this machine and of the server are further apart, in milliseconds, everything that is dated is
   * refused: another replica may have admitted it so long ago that the server has forgotten it. At most half of
   * `remember`. Default: whatever they are.
   */
  readonly clockTolerance?: number
}

export interface RedisConnection {
  /** A store of its own in the same server. Closing it leaves the connection open. */
  store (options: RedisStoreOptions): ReplayStore
  /** Runs a script of one key. @throws the server does not answer, or refuses */
  evaluate (script: string, key: string, args: readonly (string | number)[]): Promise<unknown>
  close (): void
}

const PROBE_PREFIX = 'polaris:replay:probe:'
/** Of a cluster, so many probes meet every node, most likely. */
const CLUSTER_PROBES = 32
const CHECK_INTERVAL_MS = 5_000
/** While the server refuses commands. */
const RECHECK_INTERVAL_MS = 1_000
/**
 * A connection that broke, or a server that another one follows, is waited for so long; then requests are refused at
 * once.
 */
const RETRY_MS = 2_000
const RETRY_PAUSE_MS = 50

export function connectRedis ({ url, onState, now = Date.now }: RedisOptions): RedisConnection {
  const target = parseTarget(url)
  let problem: string | undefined = 'connecting'
  let connected: boolean | undefined
  let lostAt = -Infinity
  /** The connection is being made again on purpose: that is nothing to report. */
  let renewing = false
  let renewedAt = -Infinity
  let refusal: string | undefined
  let policy: string | undefined
  let checkable = true
  let forgotAt = -Infinity
  const clocks = createClockComparison(now)
  let tolerance = Infinity
  let agrees = true
  let closed = false
  let timer: NodeJS.Timeout | undefined
  /** By run of a server. */
  let evicted = new Map<string, number>()
  let client = connectTarget(target)
  attach(client)

  function attach (fresh: Redis | Cluster): void {
    const on = (event: string, listener: (error: Error & { code?: string }) => void) => {
      fresh.on(event, (error: Error) => { if (fresh === client) listener(error) })
    }
    on('ready', () => {
      problem = 'checking'
      renewing = false
      if (connected !== true) onState?.('connected')
      connected = true
      check()
    })
    // Codes only: messages hold the address.
    on('error', error => {
      renewing = false
      problem = `no connection (${error.code ?? refusalCode(error) ?? error.name})`
    })
    on('close', () => {
      clearTimeout(timer)
      if (renewing) return
      problem ??= 'no connection'
      // Once, not for every attempt to connect again.
      if (connected !== false) {
        if (connected === true) lostAt = monotonic()
        onState?.('disconnected', problem)
      }
      connected = false
    })
    on('end', replace)
  }

  /** A client that is disconnected while it asks a Sentinel, as by the news of a failover, gives up for good. */
  function replace (): void {
    const ended = client
    ended.disconnect()
    setTimeout(() => {
      if (closed || client !== ended) return
      client = ended instanceof Cluster ? connectCluster(target) : connectTarget(target)
      attach(client)
    }, pause(1)).unref()
  }

  /** After a failover the old primary answers, but takes nothing: a new connection gets the new one. */
  function renew (): void {
    if (client instanceof Cluster || renewing || monotonic() < renewedAt + RECHECK_INTERVAL_MS) return
    renewing = true
    renewedAt = monotonic()
    client.disconnect(true)
  }

  /** A server alone turned out to be a node of a cluster. */
  function joinCluster (): void {
    if (client instanceof Cluster) return
    const alone = client
    client = connectCluster(target)
    attach(client)
    problem = 'connecting'
    lostAt = monotonic()
    alone.disconnect()
  }

  /** Tries what stores do, and looks whether the servers forget. */
  async function check (): Promise<void> {
    const checked = client
    try {
      const probes = Array.from(
        { length: checked instanceof Cluster ? CLUSTER_PROBES : 1 },
        () => claim(PROBE_PREFIX + randomBytes(6).toString('base64url'), 1)
      )
      await Promise.all(probes)
      await look()
      problem = undefined
    } catch (error) {
      if (client !== checked || checked.status !== 'ready') return
      problem = refusalCode(error) === undefined ? 'a node does not answer' : undefined
    }
    if (client === checked && checked.status === 'ready') {
      checkIn(problem === undefined && refusal === undefined ? CHECK_INTERVAL_MS : RECHECK_INTERVAL_MS)
    }
  }

  function checkIn (time: number): void {
    clearTimeout(timer)
    if (!closed) timer = setTimeout(check, time).unref()
  }

  async function look (): Promise<void> {
    try {
      const servers = client instanceof Cluster ? client.nodes('master') : [client]
      const infos = (await Promise.all(servers.map(server => server.info()))).map(parseInfo)
      if (infos.some(({ clustered }) => clustered)) joinCluster()
      const found = infos.find(info => info.policy !== undefined)?.policy
      if (found !== undefined && found !== policy) onState?.('may forget', `maxmemory-policy ${found}`)
      policy = found
      if (infos.some(info => info.evicted > (evicted.get(info.run) ?? info.evicted))) {
        forgotAt = monotonic()
        onState?.('forgets', `maxmemory-policy ${policy}`)
      }
      evicted = new Map(infos.map(info => [info.run, info.evicted]))
      compareClocks(infos.flatMap(({ time }) => time ?? []))
    } catch (error) {
      const code = refusalCode(error)
      if (code === undefined) throw error
      if (checkable) onState?.('cannot be checked', `INFO: ${code}`)
      checkable = false
    }
  }

  function compareClocks (times: readonly number[]): void {
    clocks.compare(times)
    const ahead = clocks.ahead()
    const agreed = agrees
    agrees = Math.abs(ahead) <= tolerance
    if (agrees !== agreed) {
      onState?.(agrees ? 'agrees about the time' : 'disagrees about the time', `${Math.round(ahead / 1000)} s ahead`)
    }
  }

  /**
   * Sets a key unless it is there: true if it was not. Tries again while a server is changing. The value tells an
   * attempt of this call, whose answer was lost, from anybody else's.
   */
  async function claim (key: string, ttl: number): Promise<boolean> {
    const value = randomBytes(9).toString('base64url')
    const deadline = monotonic() + RETRY_MS
    for (let attempt = 0; ; attempt++) {
      const asked = client
      try {
        const isNew = await asked.set(key, value, 'PX', ttl, 'NX') === 'OK'
        if (refusal !== undefined) onState?.('accepts commands')
        refusal = undefined
        // A cluster's client repeats commands by itself.
        return isNew || ((attempt > 0 || asked instanceof Cluster) && await holds(asked, key, value))
      } catch (error) {
        const code = refusalCode(error)
        if (code === 'MOVED') joinCluster()
        if (code === 'READONLY') renew()
        if (!isWorthAnother(code) || monotonic() > deadline) {
          if (code !== undefined) refuse(code)
          throw error
        }
        await wait(RETRY_PAUSE_MS)
      }
    }
  }

  function isWorthAnother (code: string | undefined): boolean {
    if (closed) return false
    if (code !== undefined) return isPassing(code) && refusal !== code
    // A cluster whose client is ready lacks a node. Without a connection, the time since it was lost counts.
    return (client instanceof Cluster && client.status === 'ready') || connected === true ||
      monotonic() < lostAt + RETRY_MS
  }

  function refuse (code: string): void {
    if (code === refusal) return
    refusal = code
    onState?.('refuses commands', code)
    checkIn(RECHECK_INTERVAL_MS)
  }

  return {
    evaluate: (script, key, args) => client.eval(script, 1, key, ...args),
    store ({ prefix, remember, strict, clockTolerance = Infinity }) {
      let horizon = -Infinity
      // What this process admitted stays refused by its date when the server has forgotten it: that takes two spans.
      const generations = createGenerations(
        remember, monotonic, () => ({ latest: -Infinity }), ({ latest }) => { horizon = Math.max(horizon, latest) }
      )
      const forgets = () => strict && monotonic() < forgotAt + remember
      const isApart = () => Math.abs(clocks.ahead()) > clockTolerance
      tolerance = Math.min(tolerance, clockTolerance)
      return {
        async admit (digest, date) {
          generations.now()
          if (date !== undefined && date <= horizon) return false
          if (forgets()) throw new ReplayStoreError('The replay store forgets')
          if (date !== undefined && isApart()) throw new ReplayStoreError('The replay store has another time')
          try {
            if (!await claim(prefix + digest.toString('base64url'), date === undefined ? remember : 2 * remember)) {
              return false
            }
          } catch (cause) {
            throw new ReplayStoreError('The replay store does not answer', { cause })
          }
          const { current } = generations.now()
          if (date !== undefined) current.latest = Math.max(current.latest, date)
          return true
        },
        problem () {
          if (problem !== undefined) return problem
          if (refusal !== undefined) return `refuses commands (${refusal})`
          if (isApart()) return `its clock is ${Math.round(clocks.ahead() / 1000)} s ahead of this machine's`
          return forgets() ? `forgets keys (maxmemory-policy ${policy ?? 'unknown'})` : undefined
        },
        close: async () => undefined
      }
    },
    close () {
      closed = true
      clearTimeout(timer)
      client.disconnect()
    }
  }
}

async function holds (client: Redis | Cluster, key: string, value: string): Promise<boolean> {
  try {
    return await client.get(key) === value
  } catch (error) {
    // The user may not: then it counts as another client's.
    if (refusalCode(error) !== undefined) return false
    throw error
  }
}
