/**
 * Measures cold starts of the proxy beside those of the floor, by turns in one run: from the start of the process until
 * its port accepts a connection, and until it is ready, which takes an RSA-4096 key; and its memory two seconds later.
 * Both run with the flags of `npm start`. `npm exec -- node bench/start.ts`
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { accepts, answers, freePort, startFlags } from './processes.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } })
const ROUNDS = Number(options.rounds)
const POLL_MS = 2
const SETTLE_MS = 2000

const subjects = [
  { name: 'Fastify + reply-from (floor)', file: 'floor.ts', readyz: undefined },
  { name: 'the proxy', file: '../server.ts', readyz: '/polaris-container/readyz' }
]

/** Milliseconds since the process was started; `cpu` and `waiting` are of its main thread, until it listens. */
interface Start {
  readonly listening: number
  readonly cpu: number
  readonly waiting: number
  readonly ready: number
  /** Resident MiB. */
  readonly memory: number
}

const starts = new Map<string, Start[]>(subjects.map(({ name }) => [name, []]))
for (let round = 0; round <= ROUNDS; round++) {
  for (const { name, file, readyz } of subjects) {
    const start = await measure(file, readyz)
    // Round 0 brings the files into the page cache.
    if (round > 0) starts.get(name)?.push(start)
  }
}

console.log(`\nNode ${process.version}, ${ROUNDS} starts of each, by turns. Milliseconds, MiB: median (least).`)
console.log('Computing and waiting for a processor are those of the main thread until the server listens.\n')
console.log('| server | listens after | computing | waiting for a processor | ready after | memory |')
console.log('| --- | ---: | ---: | ---: | ---: | ---: |')
for (const [name, all] of starts) {
  const cells = (['listening', 'cpu', 'waiting', 'ready', 'memory'] as const).map(
    figure => summary(all.map(start => start[figure]))
  )
  console.log(`| ${name} | ${cells.join(' | ')} |`)
}

async function measure (file: string, readyz: string | undefined): Promise<Start> {
  const port = await freePort()
  const begin = performance.now()
  const child = spawn(process.execPath, [...startFlags(), fileURLToPath(new URL(file, import.meta.url))], {
    env: {
      ...process.env, POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9', HOST: '127.0.0.1', PORT: String(port)
    },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  const exit = once(child, 'exit')
  while (!await accepts(port)) await pause(child.exitCode)
  const listening = performance.now() - begin
  // Nanoseconds on a processor and ready to run without one (Linux: Documentation/scheduler/sched-stats).
  const [onCpu, inQueue] = readFileSync(`/proc/${child.pid}/schedstat`, 'utf8').split(' ')
  if (readyz !== undefined) while (!await answers(`http://127.0.0.1:${port}${readyz}`)) await pause(child.exitCode)
  const ready = performance.now() - begin
  await setTimeout(SETTLE_MS)
  const memory = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
  child.kill('SIGKILL')
  await exit
  return { listening, cpu: Number(onCpu) / 1e6, waiting: Number(inQueue) / 1e6, ready, memory }
}

async function pause (exitCode: number | null): Promise<void> {
  if (exitCode !== null) throw new Error('the server did not start')
  await setTimeout(POLL_MS)
}

function summary (figures: number[]): string {
  figures.sort((a, b) => a - b)
  return `${figures[Math.floor(figures.length / 2)]?.toFixed(0)} (${figures[0]?.toFixed(0)})`
}
