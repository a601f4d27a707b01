/**
 * Measures the proxy beside the floor, in one run: `npm run bench`. Every figure is the median of the rounds. The table
 * goes to stdout, the same as JSON into the file named by `--json`; then come events, idle connections and starts.
 * `--quick` sends a tenth of the requests; `--only` takes a regular expression for size and server, such as
 * '1 KiB (Fast|pass)', and leaves out what follows the table; `--against DIR` adds the proxy of another checkout, with
 * its dependencies installed. Servers have one core, all the same one, and all their threads
 * count; the load and the workload have the others. The floor runs with the flags of `npm start`, and with Node's
 * defaults.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { load, prepareRequest } from './load.ts'
import type { PreparedRequest } from './load.ts'
import { prepareOhttp } from './ohttp-request.ts'
import { PROXY, forkOn, leaveTheCore, startFlags, startServer } from './processes.ts'
import type { Server } from './processes.ts'
import { prepareV1 } from './v1-request.ts'

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    against: { type: 'string' },
    only: { type: 'string', default: '' }
  }
})
const ROUNDS = Number(options.rounds)
const ONLY = new RegExp(options.only)
const CONNECTIONS = 8
/** What is measured in other ways, each by a program of its own. */
const MORE = [['Events', 'events.ts'], ['Idle connections', 'idle.ts'], ['Start', 'start.ts']] as const
const FLOOR = 'Fastify + reply-from (floor)'
const SIZES = [['1 KiB', 2 ** 10], ['64 KiB', 2 ** 16], ['1 MiB', 2 ** 20]] as const

interface Subject {
  readonly name: string
  readonly server: Server
  /** Requests for a size; few where each costs milliseconds. */
  readonly count: Record<number, number>
  /**
   * Requests that warm up, where those of a round are too few: it takes V8 tens of thousands to compile what they use.
   */
  readonly warmUp?: Record<number, number>
  /** Called before each round, outside of what is measured. */
  readonly prepare: (body: Uint8Array<ArrayBuffer>, count: number) => Promise<(i: number) => PreparedRequest>
}

interface Row {
  subject: string
  size: string
  requestsPerSecond: number
  p50: number
  p99: number
  cpuPerRequest: number
  stall: number
  peakRss: number
}

const plain = async (body: Uint8Array): Promise<() => PreparedRequest> => {
  const request = prepareRequest('/echo?q=1', { 'content-type': 'application/octet-stream' }, body)
  return () => request
}
const fast = { [2 ** 10]: 20_000, [2 ** 16]: 6_000, [2 ** 20]: 600 }
const unique = { [2 ** 10]: 4_000, [2 ** 16]: 2_000, [2 ** 20]: 600 }
const slow = { [2 ** 10]: 400, [2 ** 16]: 400, [2 ** 20]: 200 }
/** Sent twice, as those of every round. */
const WARM_UP = {
  fast: { [2 ** 10]: 30_000, [2 ** 20]: 1_800 },
  unique: { [2 ** 10]: 20_000, [2 ** 16]: 6_000, [2 ** 20]: 1_800 },
  slow: { [2 ** 10]: 1_600 }
}

/** One request serves for all rounds of a size: encrypting it takes the client as long as it takes the server. */
function preparedV1 ({ url }: Server): Subject['prepare'] {
  let kept: { length: number, request: PreparedRequest } | undefined
  return async body => {
    kept = kept?.length === body.length ? kept : { length: body.length, request: await prepareV1(url, body) }
    const { request } = kept
    return () => request
  }
}

function ohttp ({ url }: Server, chunked: boolean): Subject['prepare'] {
  return async (body, count) => {
    const requests = await prepareOhttp(url, body, count, chunked)
    return i => requests[i]!
  }
}

leaveTheCore()
const workload = await startServer('bench/workload.ts', '/', {}, 'others')
const env = { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url }
const subjects: Subject[] = [
  {
    name: FLOOR,
    server: await startServer('bench/floor.ts', '/', env, 'one', { flags: startFlags() }),
    count: fast,
    warmUp: WARM_UP.fast,
    prepare: plain
  },
  {
    name: "floor with Node's defaults",
    server: await startServer('bench/floor.ts', '/', env, 'one'),
    count: fast,
    warmUp: WARM_UP.fast,
    prepare: plain
  }
]
const checkouts = [{ label: '', checkout: new URL('../', import.meta.url) }]
if (options.against !== undefined) {
  checkouts.push({ label: ' (other)', checkout: pathToFileURL(`${resolve(options.against)}/`) })
}
// One server for each row: code that V8 has compiled for one protocol is slower for a second.
for (const { label, checkout } of checkouts) {
  const start = (more: Record<string, string> = {}) => startServer(
    PROXY, '/polaris-container/readyz', { ...env, ...more }, 'one', { checkout }
  )
  const oneShot = await start()
  const chunked = await start()
  const v1 = await start({
    POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true',
    POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true',
    // One request serves for a whole run.
    POLARIS_CONTAINER_V1_REPLAY_PROTECTION: 'false'
  })
  subjects.push(
    { name: `passthrough${label}`, server: await start(), count: fast, warmUp: WARM_UP.fast, prepare: plain },
    { name: `OHTTP${label}`, server: oneShot, count: unique, warmUp: WARM_UP.unique, prepare: ohttp(oneShot, false) },
    {
      name: `chunked OHTTP${label}`,
      server: chunked,
      count: unique,
      warmUp: WARM_UP.unique,
      prepare: ohttp(chunked, true)
    },
    { name: `v1${label}`, server: v1, count: slow, warmUp: WARM_UP.slow, prepare: preparedV1(v1) }
  )
}

const rows: Row[] = []
/** CPU microseconds, one figure of each round. */
const privateOperations: number[] = []
try {
  for (const [size, octets] of SIZES) {
    const rounds = new Map<string, Row[]>(subjects.map(({ name }) => [name, []]))
    const body = randomBytes(octets)
    for (let round = 0; round <= ROUNDS; round++) {
      for (const subject of subjects) {
        const count = subject.count[octets]
        if (count === undefined || !ONLY.test(`${size} ${subject.name}`)) continue
        progress(`${size}, round ${round} of ${ROUNDS}: ${subject.name}`)
        // Round 0 warms up, in portions, since prepared requests are held in memory.
        const repeats = round === 0 ? Math.ceil((subject.warmUp?.[octets] ?? count) / count) : 1
        for (let i = 0; i < repeats; i++) {
          const row = await measure(subject, size, body, count)
          if (round > 0) rounds.get(subject.name)?.push(row)
        }
      }
      // Compared with v1, the last of a round.
      if (octets === 2 ** 10 && round > 0 && ONLY.test(`${size} v1`)) privateOperations.push(await privateOperation())
    }
    for (const results of rounds.values()) if (results.length > 0) rows.push(medianRow(results))
  }
  const rsa = middle(privateOperations) ?? NaN
  report(rows, rsa)
  if (options.json !== undefined) {
    writeFileSync(options.json, JSON.stringify(
      { node: process.version, connections: CONNECTIONS, rounds: ROUNDS, rsa4096Micros: rsa, rows }, null, 2
    ) + '\n')
  }
} finally {
  await Promise.all([...subjects.map(({ server }) => server.stop()), workload.stop()])
}
for (const [name, file] of options.only === '' ? MORE : []) {
  console.log(`\n## ${name}\n`)
  execFileSync(process.execPath, [fileURLToPath(new URL(file, import.meta.url))], { stdio: 'inherit' })
}

async function measure (
  { name, server, prepare }: Subject, size: string, body: Uint8Array<ArrayBuffer>, count: number
): Promise<Row> {
  const requests = Math.ceil(count / (options.quick ? 10 : 1))
  // While others are measured, V8 throws compiled code away: the first half does not count.
  const next = await prepare(body, 2 * requests)
  await load(server.url, CONNECTIONS, requests, next)
  await server.reset()
  const { seconds, p50, p99 } = await load(server.url, CONNECTIONS, requests, i => next(requests + i))
  const { cpu, stall, peakRss } = await server.read()
  return {
    subject: name, size, requestsPerSecond: requests / seconds, p50, p99, cpuPerRequest: cpu / requests, stall, peakRss
  }
}

/** What six of make up most of a v1 request, on the core that the servers have. */
async function privateOperation (): Promise<number> {
  const [micros] = await once(forkOn('one', new URL('private-operation.ts', import.meta.url)), 'message') as [number]
  return micros
}

function middle (figures: number[]): number | undefined {
  return figures.sort((a, b) => a - b)[Math.floor(figures.length / 2)]
}

function medianRow (results: Row[]): Row {
  const median = (pick: (row: Row) => number) => middle(results.map(pick))!
  return {
    subject: results[0]!.subject,
    size: results[0]!.size,
    requestsPerSecond: median(row => row.requestsPerSecond),
    p50: median(row => row.p50),
    p99: median(row => row.p99),
    cpuPerRequest: median(row => row.cpuPerRequest),
    stall: median(row => row.stall),
    peakRss: median(row => row.peakRss)
  }
}

function report (all: Row[], rsa: number): void {
  const floorOf = (size: string) => all.find(row => row.size === size && row.subject === FLOOR)?.cpuPerRequest ?? NaN
  console.log(`\nNode ${process.version}, ${CONNECTIONS} connections, medians of ${ROUNDS} rounds. CPU is that of ` +
    'the server process, which has one core.\n')
  console.log('| body | server | req/s | p50 ms | p99 ms | CPU µs/req | × floor | longest stall ms | peak RSS MiB |')
  console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const row of all) {
    const figures =
      [row.requestsPerSecond.toFixed(0), row.p50.toFixed(2), row.p99.toFixed(2), row.cpuPerRequest.toFixed(1),
        (row.cpuPerRequest / floorOf(row.size)).toFixed(2), row.stall.toFixed(1), (row.peakRss / 2 ** 20).toFixed(0)]
    console.log(`| ${row.size} | ${row.subject} | ${figures.join(' | ')} |`)
  }
  const v1Small = all.find(row => row.subject === 'v1' && row.size === '1 KiB')
  if (v1Small === undefined) return
  console.log(`\nOne RSA-4096 private operation: ${rsa.toFixed(0)} µs; six: ${(6 * rsa).toFixed(0)} µs.`)
  console.log(`v1 at 1 KiB: ${(v1Small.cpuPerRequest / (6 * rsa)).toFixed(2)} × six private operations.`)
}

function progress (line: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`)
}
