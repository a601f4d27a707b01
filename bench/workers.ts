/**
 * What several processes are good for: the OHTTP throughput of two workers beside that of one process on one core, in
 * turns; `node bench/workers.ts`. The load and the workload take their part of the cores, so the ratio of requests
 * per second says too little where there are as many cores as workers: the last column says what the CPU that the
 * proxy's processes took, the primary included, was good for.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { load } from './load.ts'
import { prepareOhttp } from './ohttp-request.ts'
import { PROXY, startServer } from './processes.ts'

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '9' }, connections: { type: 'string', default: '32' }, chunked: { type: 'boolean', default: false } }
})
const CONNECTIONS = Number(options.connections)
const SIZES = [['1 KiB', 2 ** 10, 4000], ['16 KiB', 2 ** 14, 2000], ['64 KiB', 2 ** 16, 1000]] as const
/** Rounds before what counts: each of two workers gets half of the requests, and has its code compiled that much later. */
const WARM_UP = 4

interface Round { readonly requestsPerSecond: number, readonly cpuPerRequest: number, readonly cores: number }

const workload = await startServer('workload.ts', '/', {}, 'all')
const subjects = await Promise.all(['1', '2'].map(async workers => ({
  workers,
  server: await startServer(PROXY, '/polaris-container/readyz', {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url, POLARIS_CONTAINER_WORKERS: workers
  }, workers === '1' ? 'one' : 'all')
})))

try {
  console.log(`Node ${process.version}, ${CONNECTIONS} connections, medians of ${options.rounds} rounds.\n`)
  console.log('| body | workers | req/s | CPU µs/req | cores used | × req/s of one | × requests per CPU of one |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |')
  for (const [size, octets, count] of SIZES) {
    const rounds: Round[][] = subjects.map(() => [])
    for (let round = 0; round < WARM_UP + Number(options.rounds); round++) {
      for (const [i, { server }] of subjects.entries()) {
        const requests = await prepareOhttp(server.url, randomBytes(octets), count, options.chunked)
        await server.reset()
        const { seconds } = await load(server.url, CONNECTIONS, count, n => requests[n]!)
        const { cpu } = await server.read()
        if (round >= WARM_UP) rounds[i]!.push({ requestsPerSecond: count / seconds, cpuPerRequest: cpu / count, cores: cpu / 1e6 / seconds })
      }
    }
    const [one, two] = rounds
    for (const [i, { workers }] of subjects.entries()) {
      const middle = (pick: (round: Round) => number) => median(rounds[i]!.map(pick))
      const ratio = (pick: (round: Round) => number) => i === 0 ? 1 : median(two!.map((round, n) => pick(round) / pick(one![n]!)))
      console.log(`| ${[size, workers, middle(round => round.requestsPerSecond).toFixed(0), middle(round => round.cpuPerRequest).toFixed(0),
        middle(round => round.cores).toFixed(2), ratio(round => round.requestsPerSecond).toFixed(2), ratio(round => 1 / round.cpuPerRequest).toFixed(2)].join(' | ')} |`)
    }
  }
} finally {
  await Promise.all([...subjects.map(({ server }) => server.stop()), workload.stop()])
}

function median (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
