/**
 * Everything at once, for as long as one likes: mixed protocols over many connections, clients that leave, a workload
 * that misbehaves, keys and evidence that are renewed, a Redis that fails over. Nothing may be wrong, nothing may
 * crash, and nothing may grow.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Test } from 'tap'
import { Agent, setGlobalDispatcher } from 'undici'
import { ENCRYPTED, fetchKeys, prepare } from '../fixtures/exchange.ts'
import type { Keys, Protocol } from '../fixtures/exchange.ts'
import { startReplicas, startWorkloadProcess } from '../fixtures/group.ts'
import type { Conduct } from '../fixtures/workload.ts'
import { watchThisProcess } from './held-up.ts'
import { growth, sampleOf } from './memory.ts'
import type { Sample } from './memory.ts'
import { crashOf, descriptorsAtRest } from './processes.ts'
import { startFailingRedis } from './redis.ts'
import type { Report } from './report.ts'
import { createTally } from './tally.ts'

export interface SoakOptions {
  readonly minutes: number
  readonly connections: number
  /** Mean pause of a client between two exchanges, in milliseconds. */
  readonly pause: number
  /** Minutes between two failovers of Redis. */
  readonly failover: number
  /** Seconds between two lines of progress. */
  readonly progress: number
  readonly say: (line: string) => void
  /** Ends it before its time, with a report. */
  readonly signal?: AbortSignal
}

const REPLICAS: readonly { readonly env: Record<string, string>, readonly protocols: readonly Protocol[] }[] = [
  { env: { ...encryption(), POLARIS_CONTAINER_WORKERS: '2' }, protocols: ENCRYPTED },
  { env: encryption(), protocols: ENCRYPTED },
  // Only here are unencrypted requests accepted; and v1 is not.
  { env: {}, protocols: ['plain', 'ohttp', 'ohttp-chunked', 'ehbp'] }
]
const SIZES = [0, 200, 5000, 60_000]
const MISBEHAVIOUR = ['reset', 'cut', 'garbage', 'slow'] as const
const KEYS_FOR_MS = 20_000
/** An exchange lasts no longer than that, and a failover shows no longer. */
const AFTERMATH_MS = 15_000
/** Keys are good for a minute after they were fetched, and a date for as long. */
const LATE_MS = 50_000
const SAMPLE_MS = 5000
const WARM_UP_MS = 600_000

function encryption (): Record<string, string> {
  return { POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true', POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true' }
}

export async function soak (t: Test, options: SoakOptions): Promise<Report> {
  const { minutes, connections, pause, say } = options
  // No limits on time: a machine that is busy is no fault of the proxy's.
  const agent = new Agent({ connections: null, connectTimeout: 0, headersTimeout: 0, bodyTimeout: 0 })
  setGlobalDispatcher(agent)
  const redis = await startFailingRedis(t)
  const workload = await startWorkloadProcess(t)
  const replicas = await startReplicas(t, workload, {
    POLARIS_CONTAINER_REPLAY_STORE: redis.url,
    POLARIS_CONTAINER_HPKE_ROTATION: '60s',
    POLARIS_CONTAINER_HPKE_RETIREMENT: '60s',
    POLARIS_CONTAINER_ATTESTATION_TYPE: 'simulated',
    POLARIS_CONTAINER_ATTESTATION_REQUIRED: 'true',
    POLARIS_CONTAINER_ATTESTATION_RENEWAL: '60s',
    POLARIS_CONTAINER_CLIENT_REQUEST_RATE: '100000',
    POLARIS_CONTAINER_CLIENT_BURST: '100000',
    POLARIS_CONTAINER_ADMIN_ADDRESS: '127.0.0.1:0'
  }, REPLICAS.map(({ env }) => env))
  const tally = createTally()
  const began = performance.now()
  const elapsed = () => performance.now() - began
  const ending = new AbortController()
  const { signal } = ending
  options.signal?.addEventListener('abort', () => ending.abort())
  const unless = (time: number) => setTimeout(time, undefined, { signal }).catch(() => undefined)

  const processes = replicas.flatMap((replica, i) => {
    const pids = new Set([replica.server.child.pid ?? 0, ...replica.serving()])
    return [...pids].map((pid, j) => ({ name: `${i + 1}.${j + 1}`, pid, samples: [] as Sample[] }))
  })
  const sampleAll = () => {
    for (const { pid, samples } of processes) {
      const sample = sampleOf(pid, elapsed())
      if (sample !== undefined) samples.push(sample)
    }
  }
  sampleAll()
  const idle = processes.map(({ samples }) => samples[0]?.descriptors ?? 0)

  const keys: Keys[] = await Promise.all(replicas.map(({ url }) => fetchKeys(url)))
  const held = watchThisProcess(t)
  const fetchedAt = replicas.map(() => performance.now())
  const isLate = (at: number, { madeAt }: { readonly madeAt: number }, keysAt = fetchedAt[at] ?? 0) =>
    performance.now() - Math.min(keysAt, madeAt) > LATE_MS || held.isUp()
  const keyIds = new Set<number>()
  function noteFailure (what: string, error: unknown): void {
    if (held.isUp()) return
    tally.count({
      protocol: 'plain', conduct: 'answer', outcome: `wrong: ${what}: ${String((error as Error).cause ?? error)}`
    })
  }

  async function renewKeys () {
    while (!signal.aborted) {
      for (const [i, { url }] of replicas.entries()) {
        const at = performance.now()
        try {
          keys[i] = await fetchKeys(url)
          fetchedAt[i] = at
        } catch (error) {
          noteFailure('keys', error)
        }
        keyIds.add(keys[i]!.ohttp.keyId)
      }
      await unless(KEYS_FOR_MS)
    }
  }

  async function client (number: number) {
    const at = number % REPLICAS.length
    const { protocols } = REPLICAS[at]!
    const protocol = protocols[Math.floor(number / REPLICAS.length) % protocols.length]!
    await unless(Math.random() * pause)
    while (!signal.aborted) {
      const leaving = new AbortController()
      const isAborted = randomInt(20) === 0
      const conduct: Conduct = randomInt(50) === 0
        ? MISBEHAVIOUR[randomInt(MISBEHAVIOUR.length)]!
        : randomInt(5) === 0 ? 'stream' : 'answer'
      const keysAt = fetchedAt[at]
      const exchange = await prepare(
        keys[at]!, protocol, { conduct, size: SIZES[randomInt(SIZES.length)]!, signal: leaving.signal }
      )
      const timer = isAborted ? globalThis.setTimeout(() => leaving.abort(), Math.random() * 100) : undefined
      const outcome = await exchange.send(replicas[at]!.url)
      clearTimeout(timer)
      tally.count({
        protocol,
        conduct,
        outcome,
        failure: exchange.failure(),
        isAborted,
        isFailingOver: redis.wasReplaced(AFTERMATH_MS),
        isLate: isLate(at, exchange, keysAt)
      })
      await unless(Math.random() * 2 * pause)
    }
  }

  let replays = 0
  /** Sends a request to one replica, and again to another. */
  async function replayer () {
    while (!signal.aborted) {
      const protocol = ENCRYPTED[replays % 2]!
      const keysAt = fetchedAt[0]
      const exchange = await prepare(keys[0]!, protocol)
      const first = await exchange.send(replicas[0]!.url)
      const second = await exchange.send(replicas[1]!.url)
      // Replication is asynchronous: what was admitted just before a primary dies, the next one may not know.
      if (!redis.wasReplaced(AFTERMATH_MS) && !isLate(0, exchange, keysAt)) {
        replays++
        tally.count({ protocol, conduct: 'answer', outcome: first, failure: exchange.failure() })
        if (second !== '400 cannot-open') {
          tally.count({ protocol, conduct: 'answer', outcome: `wrong: a replay is ${second}` })
        }
      }
      await unless(2000)
    }
  }

  /** Asks for evidence, as verifiers do. */
  async function verifier () {
    while (!signal.aborted) {
      for (const { url } of replicas) {
        const nonce = randomBytes(16).toString('base64url')
        try {
          const response = await fetch(`${url}/polaris-container/attestation?nonce=${nonce}`)
          const document = await response.json() as { nonce?: string }
          const outcome = response.status === 200 && document.nonce === nonce ? 'answered' : `wrong: ${response.status}`
          tally.count({ protocol: 'plain', conduct: 'answer', outcome })
        } catch (error) {
          noteFailure('evidence', error)
        }
      }
      await unless(10_000)
    }
  }

  async function failovers () {
    for (let i = 0; ; i++) {
      await unless(options.failover * 60_000)
      if (signal.aborted) return
      await redis.replace(i % 2 === 0 ? 'planned' : 'killed')
    }
  }

  async function progress () {
    for (let next = 0; !signal.aborted; next += SAMPLE_MS) {
      sampleAll()
      if (next % (options.progress * 1000) === 0) {
        const last = processes.map(({ name, samples }) => {
          const sample = samples.at(-1)
          return `${name}: ${sample?.rss.toFixed(0)} MB, ${sample?.descriptors} fd`
        })
        const seen = [...tally.outcomes].map(([outcome, times]) => `${times} ${outcome}`)
        say(`${(elapsed() / 60_000).toFixed(1)} of ${minutes} min: ${seen.join(', ')}; wrong: ` +
          `${JSON.stringify(Object.fromEntries(tally.wrong))}; ${redis.failovers} failovers; ${last.join('; ')}`)
      }
      await unless(SAMPLE_MS)
    }
  }

  const all = Promise.all([
    ...Array.from({ length: connections }, (_, i) => client(i)), renewKeys(), replayer(), verifier(), failovers(),
    progress()
  ])
  await Promise.race([all, unless(minutes * 60_000)])
  ending.abort()
  await all

  await agent.close()
  const after = await descriptorsAtRest(processes, idle)
  const lines = replicas.flatMap(({ server }) => server.lines)
  const crashes = [
    ...lines.filter(line => /"level":(?:50|60)/.test(line)),
    ...replicas.flatMap(crashOf)
  ]
  return {
    exchanges: tally.total,
    outcomes: Object.fromEntries(tally.outcomes),
    wrong: Object.fromEntries(tally.wrong),
    repeated: [...workload.forwarded].filter(([, times]) => times > 1).map(([id]) => id),
    crashes,
    failovers: redis.failovers,
    replays,
    rotations: keyIds.size - 1,
    renewals: lines.filter(line => line.includes('attestation evidence obtained')).length,
    processes: processes.map(({ name, samples }, i) => ({
      name,
      first: samples[0]?.rss ?? 0,
      last: samples.at(-1)?.rss ?? 0,
      growth: growth(samples, Math.min(WARM_UP_MS, minutes * 60_000 / 3)),
      descriptors: [idle[i] ?? 0, after[i] ?? 0]
    }))
  }
}
