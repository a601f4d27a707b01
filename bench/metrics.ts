/**
 * What metrics cost: `node bench/metrics.ts [--rounds 15]`. For each protocol two proxies, one that counts and is
 * scraped each second and one that does not, take turns with exchanges of 1 KiB on the same core; who is first changes
 * from round to round. Each round compares their CPU; the ratio is the median over the rounds, and the span is that of
 * its middle half.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { load, prepareRequest } from './load.ts'
import type { PreparedRequest } from './load.ts'
import { prepareOhttp } from './ohttp-request.ts'
import { PROXY, freePort, leaveTheCore, startServer } from './processes.ts'
import type { Server } from './processes.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } })
const ROUNDS = Number(options.rounds)
const CONNECTIONS = 8
const WARM_UP = 3
const SCRAPE_MS = 1000
const BODY = randomBytes(1024)

type Prepare = (server: Server, count: number) => Promise<(i: number) => PreparedRequest>

const plain = prepareRequest('/echo?q=1', { 'content-type': 'application/octet-stream' }, BODY)
const ohttp = (chunked: boolean): Prepare => async ({ url }, count) => {
  const requests = await prepareOhttp(url, BODY, count, chunked)
  return i => requests[i]!
}
const protocols: readonly { readonly name: string, readonly count: number, readonly prepare: Prepare }[] = [
  { name: 'passthrough', count: 20_000, prepare: async () => () => plain },
  { name: 'OHTTP', count: 6_000, prepare: ohttp(false) },
  { name: 'chunked OHTTP', count: 6_000, prepare: ohttp(true) }
]

leaveTheCore()
const workload = await startServer('bench/workload.ts', '/', {}, 'others')
const env = { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url }
const running: Server[] = [workload]
let scraper: NodeJS.Timeout | undefined

/** CPU microseconds for each request. */
async function cpuOf (server: Server, prepare: Prepare, count: number): Promise<number> {
  const next = await prepare(server, count)
  await server.reset()
  await load(server.url, CONNECTIONS, count, next)
  const { cpu } = await server.read()
  return cpu / count
}

try {
  console.log(`Node ${process.version}, ${CONNECTIONS} connections, ${ROUNDS} rounds, scraped every ${SCRAPE_MS} ms.\n`)
  console.log('| 1 KiB | CPU µs/req without | with metrics | ratio | middle half |\n| --- | ---: | ---: | ---: | --- |')
  for (const { name, count, prepare } of protocols) {
    const admin = `127.0.0.1:${await freePort()}`
    const without = await startServer(PROXY, '/polaris-container/readyz', env, 'one')
    const counting = await startServer(
      PROXY, '/polaris-container/readyz', { ...env, POLARIS_CONTAINER_ADMIN_ADDRESS: admin }, 'one'
    )
    running.push(without, counting)
    scraper = setInterval(() => {
      fetch(`http://${admin}/metrics`).then(response => response.text()).catch(
        (error: unknown) => { console.error(error) }
      )
    }, SCRAPE_MS)
    const rounds: { off: number, on: number }[] = []
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      const cpu = { off: 0, on: 0 }
      const turns = [['off', without], ['on', counting]] as const
      for (const [which, server] of round % 2 === 0 ? turns : turns.toReversed()) {
        cpu[which] = await cpuOf(server, prepare, count)
      }
      if (round >= WARM_UP) rounds.push(cpu)
    }
    clearInterval(scraper)
    await Promise.all([without.stop(), counting.stop()])
    const at = (figures: number[], part: number) =>
      figures.sort((a, b) => a - b)[Math.floor((figures.length - 1) * part)] ?? NaN
    const ratios = rounds.map(({ off, on }) => on / off)
    console.log(`| ${[
      name,
      at(rounds.map(({ off }) => off), 0.5).toFixed(1),
      at(rounds.map(({ on }) => on), 0.5).toFixed(1),
      at(ratios, 0.5).toFixed(3),
      `${at(ratios, 0.25).toFixed(3)} to ${at(ratios, 0.75).toFixed(3)}`
    ].join(' | ')} |`)
  }
} finally {
  clearInterval(scraper)
  await Promise.all(running.map(server => server.stop()))
}
