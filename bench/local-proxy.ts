/**
 * Measures `polaris proxy` beside the SDK's fetch, in one run: `node bench/local-proxy.ts`. To the same proxy, both send
 * exchanges of 1 KiB and streams of which the first event counts. CPU is that of the one process that encrypts: the
 * command's, or the one that calls fetch. The rounds alternate; every figure is the median of them.
 */
import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, createServer, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { carryOut } from './local-proxy-load.ts'
import type { Order } from './local-proxy-load.ts'
import { PROXY, startServer } from './processes.ts'

const ROUNDS = 5
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
  if (request.url === '/events') return response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n')
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return response.end(Buffer.concat(pieces))
}).listen(0, '127.0.0.1')
await once(workload, 'listening')
const workloadUrl = `http://127.0.0.1:${(workload.address() as AddressInfo).port}`
const proxy = await startServer(PROXY, '/polaris-container/readyz', { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workloadUrl }, 'all')

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
  const child = spawn(process.execPath, [cli, 'proxy', proxy.url, '--insecure', '--listen', '127.0.0.1:0', '--log', 'off'], {
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let said = ''
  while (!/OPENAI_BASE_URL/.test(said)) said += String((await once(child.stderr, 'data'))[0])
  const url = /listening on (\S+),/.exec(said)?.[1] ?? ''
  const agent = new Agent({ keepAlive: true })
  const send = (path: string, body: Uint8Array | undefined) => new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest(url + path, { agent, method: body === undefined ? 'GET' : 'POST' }, resolve).on('error', reject).end(body)
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

const subjects = [await startSdk(), await startCommand()]
const results = subjects.map(() => ({ cpu: [] as number[], exchange: [] as number[], first: [] as number[] }))
for (let round = -1; round < ROUNDS; round++) {
  for (const [index, { child, work }] of subjects.entries()) {
    const before = cpuOf(child)
    const exchange = median(await work(EXCHANGES))
    const cpu = (cpuOf(child) - before) / EXCHANGES.count
    const first = median(await work(STREAMS))
    // The first round warms up.
    if (round < 0) continue
    results[index]!.cpu.push(cpu)
    results[index]!.exchange.push(exchange)
    results[index]!.first.push(first)
  }
}

console.log('| | CPU per exchange of 1 KiB | p50 of 8 at once | first event |\n| --- | --- | --- | --- |')
const [sdk, command] = results.map(({ cpu, exchange, first }) => ({ cpu: median(cpu), exchange: median(exchange), first: median(first) }))
for (const [name, result] of [['SDK\'s fetch', sdk], ['polaris proxy', command]] as const) {
  console.log(`| ${name} | ${result?.cpu.toFixed(3)} ms | ${result?.exchange.toFixed(1)} ms | ${result?.first.toFixed(1)} ms |`)
}
console.log(`CPU × ${((command?.cpu ?? NaN) / (sdk?.cpu ?? NaN)).toFixed(2)}, first event + ${((command?.first ?? NaN) - (sdk?.first ?? NaN)).toFixed(1)} ms`)

for (const { child } of subjects) child.kill()
await proxy.stop()
workload.closeAllConnections()
workload.close()
