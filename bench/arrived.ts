/**
 * What the short cut for messages that have arrived (lib/streams/arrived.ts) is good for: OHTTP of 1 KiB with and
 * without it, in turns, on one core; `node bench/arrived.ts`. Each ratio is of one round, in which both are measured;
 * the table has their medians. Below 1.10 requests per CPU at 1 KiB the short cut is not worth its lines.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { load } from './load.ts'
import { prepareOhttp } from './ohttp-request.ts'
import { PROXY, leaveTheCore, startServer } from './processes.ts'
import type { Server } from './processes.ts'

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, requests: { type: 'string', default: '4000' } }
})
const ROUNDS = Number(options.rounds)
const COUNT = Number(options.requests)
/** Rounds before what counts. */
const WARM_UP = Math.min(4, ROUNDS)
const CONNECTIONS = 8

interface Round { readonly requestsPerSecond: number, readonly cpuPerRequest: number }

leaveTheCore()
const workload = await startServer('bench/workload.ts', '/', {}, 'others')
const start = (env: Record<string, string>) => startServer(PROXY, '/polaris-container/readyz', {
  POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url, ...env
}, 'one')
const subjects = [
  await start({}), await start({ NODE_OPTIONS: `--import=${new URL('without-arrived.ts', import.meta.url).href}` })
]

try {
  console.log(
    `Node ${process.version}, ${CONNECTIONS} connections, medians of ${ROUNDS} rounds of ${COUNT} requests.\n`
  )
  console.log('| form | µs of CPU per request, with | without | requests per CPU, with : without | requests per ' +
    'second, with : without |\n| --- | ---: | ---: | ---: | ---: |')
  for (const [form, chunked] of [['OHTTP', false], ['chunked OHTTP', true]] as const) {
    const rounds: [Round, Round][] = []
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      // Who is first takes turns, too.
      const order = round % 2 === 0 ? [0, 1] : [1, 0]
      const results: Round[] = []
      for (const i of order) results[i] = await measure(subjects[i]!, chunked)
      if (round >= WARM_UP) rounds.push([results[0]!, results[1]!])
    }
    const middle = (pick: (round: [Round, Round]) => number) => median(rounds.map(pick))
    console.log(`| ${[
      form,
      middle(([one]) => one.cpuPerRequest).toFixed(0),
      middle(([, other]) => other.cpuPerRequest).toFixed(0),
      middle(([one, other]) => other.cpuPerRequest / one.cpuPerRequest).toFixed(3),
      middle(([one, other]) => one.requestsPerSecond / other.requestsPerSecond).toFixed(3)
    ].join(' | ')} |`)
  }
} finally {
  await Promise.all([...subjects, workload].map(server => server.stop()))
}

async function measure (server: Server, chunked: boolean): Promise<Round> {
  const requests = await prepareOhttp(server.url, randomBytes(1024), COUNT, chunked)
  await server.reset()
  const begin = performance.now()
  await load(server.url, CONNECTIONS, COUNT, n => requests[n]!)
  const seconds = (performance.now() - begin) / 1000
  const { cpu } = await server.read()
  return { requestsPerSecond: COUNT / seconds, cpuPerRequest: cpu / COUNT }
}

function median (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
