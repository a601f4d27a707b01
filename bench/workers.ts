/**
 * What several processes are good for: the OHTTP throughput of two workers beside that of one process on one core, in
 * turns; `node bench/workers.ts`. The load and the workload take their part of the cores, so the ratio of requests
 * per second says too little where there are as many cores as workers: the last column says what the CPU that the
 * proxy's processes took, the primary included, was good for. Two proxies that share nothing say what the machine
 * itself makes of a second process: more than they do, workers cannot.
 *
 * `--share 0.4` makes a core that much of a real one, for root: then the servers leave the rest to load and workload,
 * as machines of their own would, and the ratio of requests per second says what a second core is good for.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { shareCpu } from './cpu-share.ts'
import type { CpuShare } from './cpu-share.ts'
import { load } from './load.ts'
import { prepareOhttp } from './ohttp-request.ts'
import { PROXY, startServer } from './processes.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    connections: { type: 'string', default: '32' },
    chunked: { type: 'boolean', default: false },
    share: { type: 'string' }
  }
})
const CONNECTIONS = Number(options.connections)
const SHARE = options.share === undefined ? undefined : Number(options.share)
if (SHARE !== undefined && !(SHARE > 0)) throw new RangeError('--share takes a number above 0, such as 0.4')
const SIZES = [['1 KiB', 2 ** 10, 4000], ['16 KiB', 2 ** 14, 2000], ['64 KiB', 2 ** 16, 1000]] as const
/** Rounds before what counts. */
const WARM_UP = 4

interface Round { readonly requestsPerSecond: number, readonly cpuPerRequest: number, readonly cores: number }

const workload = await startServer('bench/workload.ts', '/', {}, 'all')
const start = (workers: string, cores: 'one' | 'all') => startServer(PROXY, '/polaris-container/readyz', {
  POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url, POLARIS_CONTAINER_WORKERS: workers
}, SHARE === undefined ? cores : 'all')
/** The load is shared out evenly among the servers of a subject. */
const subjects = [
  { name: 'one process', processes: 1, servers: [await start('1', 'one')] },
  { name: 'two workers', processes: 2, servers: [await start('2', 'all')] },
  { name: 'two proxies', processes: 2, servers: [await start('1', 'all'), await start('1', 'all')] }
]
const shares: CpuShare[] = []

try {
  if (SHARE !== undefined) {
    for (const { processes, servers } of subjects) {
      for (const { process } of servers) {
        shares.push(shareCpu(`${shares.length}`, process.pid, SHARE * processes / servers.length))
      }
    }
    console.log(`A core is ${SHARE} of a real one.`)
  }
  console.log(`Node ${process.version}, ${CONNECTIONS} connections, medians of ${options.rounds} rounds.\n`)
  console.log('| body | served by | req/s | CPU µs/req | cores used | × req/s of one | × requests per CPU of one ' +
    '|\n| --- | --- | ---: | ---: | ---: | ---: | ---: |')
  for (const [size, octets, each] of SIZES) {
    const rounds: Round[][] = subjects.map(() => [])
    for (let round = 0; round < WARM_UP + Number(options.rounds); round++) {
      for (const [i, { processes, servers }] of subjects.entries()) {
        // As many for each process, so that each has its code compiled as far.
        const count = each * processes
        const share = count / servers.length
        const prepared = await Promise.all(servers.map(async server => ({
          server, requests: await prepareOhttp(server.url, randomBytes(octets), share, options.chunked)
        })))
        await Promise.all(servers.map(server => server.reset()))
        const begin = performance.now()
        await Promise.all(prepared.map(
          ({ server, requests }) => load(server.url, CONNECTIONS / servers.length, share, n => requests[n]!)
        ))
        const seconds = (performance.now() - begin) / 1000
        const cpu = (await Promise.all(servers.map(server => server.read()))).reduce((sum, usage) => sum + usage.cpu, 0)
        if (round >= WARM_UP) {
          rounds[i]!.push(
            { requestsPerSecond: count / seconds, cpuPerRequest: cpu / count, cores: cpu / 1e6 / seconds }
          )
        }
      }
    }
    const [one] = rounds
    for (const [i, { name }] of subjects.entries()) {
      const middle = (pick: (round: Round) => number) => median(rounds[i]!.map(pick))
      const ratio = (pick: (round: Round) => number) => median(
        rounds[i]!.map((round, n) => pick(round) / pick(one![n]!))
      )
      console.log(`| ${[
        size,
        name,
        middle(round => round.requestsPerSecond).toFixed(0),
        middle(round => round.cpuPerRequest).toFixed(0),
        middle(round => round.cores).toFixed(2),
        ratio(round => round.requestsPerSecond).toFixed(2),
        ratio(round => 1 / round.cpuPerRequest).toFixed(2)
      ].join(' | ')} |`)
    }
  }
} finally {
  await Promise.all([...subjects.flatMap(({ servers }) => servers.map(server => server.stop())), workload.stop()])
  for (const share of shares) share.remove()
}

function median (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
