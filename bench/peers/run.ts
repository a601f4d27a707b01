/**
 * Measures the proxy beside programs in other languages that do the same or less: `npm run bench:peers`. They are in
 * this folder, made of what people would take: nginx, Go's ReverseProxy, OHTTP gateways of Go's crypto/hpke and of the
 * Rust crates ohttp and bhttp. All servers share one core; load and workload have the others. What cannot be built is
 * left out, with a sentence. `--rounds 5`; `--quick` sends a tenth of everything, too little for figures that count.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { createListen, createListenSealed, measureEvents } from '../event-streams.ts'
import { load, prepareRequest } from '../load.ts'
import type { PreparedRequest } from '../load.ts'
import { prepareOhttp } from '../ohttp-request.ts'
import { leaveTheCore, startServer } from '../processes.ts'
import { floor, go, nginx, proxy, rust, start } from './programs.ts'
import type { Built, Program, Running } from './programs.ts'

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, quick: { type: 'boolean', default: false } }
})
const ROUNDS = Number(options.rounds)
const PART = options.quick ? 10 : 1
const CONNECTIONS = 8
const STREAMS = 16
const EVENTS = 1000 / PART
const INTERVAL_MS = 5
const BODY = randomBytes(1024)

type Protocol = 'plain' | 'OHTTP' | 'chunked OHTTP'
type Figure = 'echo' | 'event' | 'start'

interface Subject {
  readonly name: string
  readonly program: Program
  readonly protocol: Protocol
  readonly figures: Record<Figure, number[]>
}

interface Started {
  readonly subject: Subject
  readonly server: Running
}

/** Requests of a round and of the warm-up: those for OHTTP have to be made one by one. */
const COUNTS: Record<Protocol, readonly [round: number, warmUp: number]> = {
  plain: [20_000, 40_000], OHTTP: [4_000, 40_000], 'chunked OHTTP': [4_000, 40_000]
}

leaveTheCore()
const subjects = [
  ...peer('nginx', nginx()),
  ...peer('Go ReverseProxy', go('reverse')),
  ...peer('Go gateway', go('gateway'), ['OHTTP', 'chunked OHTTP']),
  ...peer('Rust gateway', rust(), ['OHTTP', 'chunked OHTTP']),
  ...peer('Fastify + reply-from (floor)', floor),
  ...peer('Polaris', proxy, ['plain', 'OHTTP', 'chunked OHTTP'])
]
await measureStarts()
await measureAll('bench/workload.ts', subjects, async started => {
  for (let sent = 0; sent < COUNTS[started.subject.protocol][1] / PART;) sent += (await echo(started)).sent
}, async started => {
  started.subject.figures.echo.push((await echo(started)).cpu)
})
const streaming = subjects.filter(({ protocol }) => protocol !== 'OHTTP')
await measureAll('bench/events-workload.ts', streaming, async started => { await events(started) }, async started => {
  started.subject.figures.event.push(await events(started))
})
report()

function peer (name: string, built: Built, protocols: readonly Protocol[] = ['plain']): Subject[] {
  if (typeof built === 'string') {
    console.log(`${name} is left out: ${built}`)
    return []
  }
  return protocols.map(protocol => ({
    name: protocols.length === 1 ? name : `${name}, ${protocol === 'plain' ? 'passthrough' : protocol}`,
    program: built,
    protocol,
    figures: { echo: [], event: [], start: [] }
  }))
}

async function measureStarts (): Promise<void> {
  const programs = new Set(subjects.map(({ program }) => program))
  for (let round = 0; round <= 2 * ROUNDS; round++) {
    for (const program of programs) {
      // The proxy's keys are not waited for.
      const { command, env = () => ({}) } = program
      const server = await start({ command, env }, 'http://127.0.0.1:9')
      await server.stop()
      // Round 0 brings the files into the page cache.
      if (round > 0) subjects.find(subject => subject.program === program)?.figures.start.push(server.listening)
    }
  }
}

/** By turns, each with a server of its own: code that V8 has compiled for one protocol is slower for a second. */
async function measureAll (
  file: string, these: readonly Subject[], warmUp: (started: Started) => Promise<void>,
  measure: (started: Started) => Promise<void>
): Promise<void> {
  const workload = await startServer(file, '/', {}, 'others')
  const all: Started[] = []
  try {
    for (const subject of these) all.push({ subject, server: await start(subject.program, workload.url) })
    for (let round = 0; round <= ROUNDS; round++) {
      for (const started of all) {
        if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${file}, round ${round}: ${started.subject.name}`)
        await (round === 0 ? warmUp : measure)(started)
      }
    }
  } finally {
    await Promise.all([...all.map(({ server }) => server.stop()), workload.stop()])
  }
}

/** Of two halves the first does not count: while others are measured, V8 throws compiled code away. */
async function echo ({ subject: { protocol }, server }: Started): Promise<{ cpu: number, sent: number }> {
  const half = COUNTS[protocol][0] / PART
  const requests = await prepare(server.url, protocol, 2 * half)
  await load(server.url, CONNECTIONS, half, requests)
  await server.reset()
  await load(server.url, CONNECTIONS, half, i => requests(half + i))
  return { cpu: (await server.read()).cpu / half, sent: 2 * half }
}

async function prepare (url: string, protocol: Protocol, count: number): Promise<(i: number) => PreparedRequest> {
  if (protocol === 'plain') {
    const request = prepareRequest('/echo?q=1', { 'content-type': 'application/octet-stream' }, BODY)
    return () => request
  }
  const requests = await prepareOhttp(url, BODY, count, protocol === 'chunked OHTTP')
  return i => requests[i]!
}

async function events ({ subject: { protocol }, server }: Started): Promise<number> {
  const listen = protocol === 'plain' ? createListen(server.url) : await createListenSealed(server.url)
  return (await measureEvents(server, listen, STREAMS, EVENTS, INTERVAL_MS)).cpu
}

function report (): void {
  console.log(`
Node ${process.version}, medians of ${ROUNDS} rounds, ${2 * ROUNDS} starts. CPU is that of all threads of the server, which
share one core; ${CONNECTIONS} connections, ${STREAMS} streams with an event every ${INTERVAL_MS} ms.

| server | 1 KiB echo, µs CPU per request | one SSE event of 50 bytes, µs CPU | start to listening, ms |
| --- | ---: | ---: | ---: |`)
  for (const { name, figures: { echo, event, start } } of subjects) {
    console.log(`| ${name} | ${median(echo)} | ${median(event)} | ${median(start)} |`)
  }
  console.log(`
nginx and ReverseProxy encrypt nothing. The Go and Rust gateways encrypt and do nothing else: they refuse no replays,
compare no dates, limit nothing, rotate no keys, count and log nothing. They hold each request in memory. Polaris has
its default settings. Attestation costs nothing per request.`)
}

function median (figures: readonly number[]): string {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)]?.toFixed(0) ?? ''
}
