/**
 * Measures `polaris proxy` beside the SDK's fetch, in one run: `node bench/local-proxy.ts [--rounds 15]`. To the same
 * proxy, both send exchanges of 1 KiB and streams of which the first event counts. CPU is that of the one process that
 * encrypts: the command's, or the one that calls fetch. The two take turns, who is first changes from round to round,
 * and each round compares them; the ratio and the difference are the medians over the rounds.
 */
import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, createServer, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { carryOut } from './local-proxy-load.ts'
import type { Order } from './local-proxy-load.ts'
import { PROXY, startServer } from './processes.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } })
const ROUNDS = Number(options.rounds)
/** Until V8 has compiled what is hot. */
const WARM_UP: Order = { what: 'exchanges', count: 15_000, concurrency: 8 }
const EXCHANGES: Order = { what: 'exchanges', count: 2000, concurrency: 8 }
const STREAMS: Order = { what: 'streams', count: 100, concurrency: 1 }
/** Of the kernel's clock ticks; 100 a second on every Linux that Node runs on. */
const MILLISECONDS_PER_TICK = 10

interface Subject {
  readonly name: string
  readonly child: ChildProcess
  /** @returns milliseconds of each */
  readonly work: (order: Order) => Promise<number[]>
}

const workload = createServer(async (request, response) => {
  if (request.url === '/events') {
    return response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n')
  }
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return response.end(Buffer.concat(pieces))
}).listen(0, '127.0.0.1')
await once(workload, 'listening')
const workloadUrl = `http://127.0.0.1:${(workload.address() as AddressInfo).port}`
const proxy = await startServer(
  PROXY, '/polaris-container/readyz', { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workloadUrl }, 'all'
)

async function startSdk (): Promise<Subject> {
  const child = fork(new URL('sdk-client.ts', import.meta.url), { env: { ...process.env, PROXY_URL: proxy.url } })
  await once(child, 'message')
  const work = async (order: Order): Promise<number[]> => {
    const answer = once(child, 'message')
    child.send(order)
    const [times] = await answer as [number[]]
    return times
  }
  return { name: 'SDK\'s fetch', child, work }
}

async function startCommand (): Promise<Subject> {
  const cli = fileURLToPath(new URL('../sdk/cli/main.ts', import.meta.url))
  const child = spawn(process.execPath, [
    cli, 'proxy', proxy.url, '--insecure', '--listen', '127.0.0.1:0', '--log', 'off'
  ], {
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let said = ''
  while (!/OPENAI_BASE_URL/.test(said)) said += String((await once(child.stderr, 'data'))[0])
  const url = /listening on (\S+),/.exec(said)?.[1] ?? ''
  const agent = new Agent({ keepAlive: true })
  const send = (path: string, body: Uint8Array | undefined) => new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest(
      url + path, { agent, method: body === undefined ? 'GET' : 'POST' }, resolve
    ).on('error', reject).end(body)
  })
  return { name: 'polaris proxy', child, work: order => carryOut(order, send) }
}

/** Milliseconds of CPU that a process has used so far. */
function cpuOf ({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * MILLISECONDS_PER_TICK
}

function median (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

interface Round {
  /** Milliseconds of CPU for an exchange. */
  readonly cpu: number
  /** Milliseconds until an exchange was complete, and until the first event of a stream was there: medians. */
  readonly exchange: number
  readonly first: number
}

async function measure ({ child, work }: Subject): Promise<Round> {
  const before = cpuOf(child)
  const exchange = median(await work(EXCHANGES))
  const cpu = (cpuOf(child) - before) / EXCHANGES.count
  return { cpu, exchange, first: median(await work(STREAMS)) }
}

const sdk = await startSdk()
const command = await startCommand()
for (const { work } of [sdk, command]) {
  await work(WARM_UP)
  await work(STREAMS)
}
const rounds: { readonly sdk: Round, readonly command: Round }[] = []
while (rounds.length < ROUNDS) {
  if (rounds.length % 2 === 0) rounds.push({ sdk: await measure(sdk), command: await measure(command) })
  else rounds.push({ command: await measure(command), sdk: await measure(sdk) })
}

console.log(
  `Node ${process.version}, medians of ${ROUNDS} rounds of ${EXCHANGES.count} exchanges and ${STREAMS.count} streams.\n`
)
console.log('| | CPU per exchange of 1 KiB | p50 of 8 at once | first event |\n| --- | --- | --- | --- |')
for (const [name, of] of [[sdk.name, 'sdk'], [command.name, 'command']] as const) {
  const middle = (pick: (round: Round) => number) => median(rounds.map(round => pick(round[of])))
  console.log(`| ${[
    name,
    `${middle(({ cpu }) => cpu).toFixed(3)} ms`,
    `${middle(({ exchange }) => exchange).toFixed(1)} ms`,
    `${middle(({ first }) => first).toFixed(1)} ms`
  ].join(' | ')} |`)
}
const ratios = rounds.map(({ sdk, command }) => command.cpu / sdk.cpu)
const later = rounds.map(({ sdk, command }) => command.first - sdk.first)
const range = (values: readonly number[]) =>
  `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`
console.log(`\nWithin a round: CPU × ${range(ratios)}, first event later by ${range(later)} ms`)

for (const { child } of [sdk, command]) child.kill()
await proxy.stop()
workload.closeAllConnections()
workload.close()
