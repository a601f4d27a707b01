/**
 * What an event of a stream costs, and how much later it arrives: streams of events of 50 bytes, through the floor, as
 * passthrough and over chunked OHTTP, in turns, on one core; `npm exec -- node bench/events.ts`. Latency is from the
 * workload's write to the client that has the event, opened; what counts is how much more it is than passthrough's.
 */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { parseArgs } from 'node:util'
import { timesIn } from './event.ts'
import { CHUNKED_HEADERS, GATEWAY, createOhttpSender } from './ohttp-request.ts'
import type { OhttpSender } from './ohttp-request.ts'
import { PROXY, leaveTheCore, startFlags, startServer } from './processes.ts'
import type { Server } from './processes.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    count: { type: 'string', default: '1000' },
    interval: { type: 'string', default: '5' }
  }
})
const ROUNDS = Number(options.rounds)
const COUNT = Number(options.count)
const TARGET = `/events?count=${COUNT}&interval=${options.interval}`

interface Round {
  /** CPU of an event, in microseconds. */
  readonly cpu: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

interface Subject {
  readonly name: string
  readonly server: Server
  /** Called with the times of the events as they arrive; resolves when the stream has ended. */
  readonly listen: (arrived: (times: readonly bigint[]) => void) => Promise<void>
}

leaveTheCore()
const workload = await startServer('bench/events-workload.ts', '/', {}, 'others')
const env = { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url }
const floor = await startServer('bench/floor.ts', '/', env, 'one', { flags: startFlags() })
const plain = await startServer(PROXY, '/polaris-container/readyz', env, 'one')
const sealed = await startServer(PROXY, '/polaris-container/readyz', env, 'one')
const sender = await createOhttpSender(sealed.url, true)
const subjects: Subject[] = [
  { name: 'floor', server: floor, listen: arrived => listen(floor, arrived) },
  { name: 'passthrough', server: plain, listen: arrived => listen(plain, arrived) },
  { name: 'chunked OHTTP', server: sealed, listen: arrived => listenSealed(sealed, sender, arrived) }
]

try {
  console.log(`Node ${process.version}, medians of ${ROUNDS} rounds, an event every ${options.interval} ms.\n`)
  console.log('| streams | server | CPU µs/event | × passthrough | p50 ms | p99 ms | p99 beside passthrough, ms |')
  console.log('| ---: | --- | ---: | ---: | ---: | ---: | ---: |')
  for (const streams of [16, 64]) {
    const rounds = subjects.map((): Round[] => [])
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [i, subject] of subjects.entries()) {
        const result = await measure(subject, streams)
        // Round 0 warms up.
        if (round > 0) rounds[i]!.push(result)
        process.stderr.write('.')
      }
    }
    process.stderr.write('\n')
    const passthrough = rounds[1]!
    for (const [i, { name }] of subjects.entries()) {
      const middle = (pick: (round: Round, passthrough: Round) => number) =>
        median(rounds[i]!.map((round, n) => pick(round, passthrough[n]!)))
      console.log(`| ${[
        streams,
        name,
        middle(({ cpu }) => cpu).toFixed(1),
        middle(({ cpu }, { cpu: other }) => cpu / other).toFixed(2),
        middle(({ p50 }) => p50).toFixed(2),
        middle(({ p99 }) => p99).toFixed(2),
        middle(({ p99 }, { p99: other }) => p99 - other).toFixed(2)
      ].join(' | ')} |`)
    }
  }
} finally {
  await Promise.all([floor, plain, sealed, workload].map(server => server.stop()))
}

async function measure ({ server, listen }: Subject, streams: number): Promise<Round> {
  const latencies: number[] = []
  await server.reset()
  await Promise.all(Array.from({ length: streams }, () => listen(times => {
    const now = process.hrtime.bigint()
    for (const time of times) latencies.push(Number(now - time) / 1e6)
  })))
  const { cpu } = await server.read()
  if (latencies.length !== streams * COUNT) throw new Error(`${latencies.length} of ${streams * COUNT} events arrived`)
  latencies.sort((a, b) => a - b)
  const at = (part: number) => latencies[Math.floor(latencies.length * part)]!
  return { cpu: cpu / latencies.length, p50: at(0.5), p99: at(0.99) }
}

async function listen ({ url }: Server, arrived: (times: readonly bigint[]) => void): Promise<void> {
  const [response] = await once(httpRequest(url + TARGET).end(), 'response') as [IncomingMessage]
  response.setEncoding('latin1').on('data', (text: string) => arrived(timesIn(text)))
  await once(response, 'end')
}

async function listenSealed (
  { url }: Server, { encapsulate }: OhttpSender, arrived: (times: readonly bigint[]) => void
): Promise<void> {
  const { message, createOpener } = encapsulate({ method: 'GET', path: TARGET })
  const request = httpRequest(url + GATEWAY, { method: 'POST', headers: CHUNKED_HEADERS }).end(message)
  const [response] = await once(request, 'response') as [IncomingMessage]
  const open = createOpener()
  response.on('data', (bytes: Buffer) => {
    for (const plaintext of open(bytes)) arrived(timesIn(plaintext.toString('latin1')))
  })
  await once(response, 'end')
}

function median (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
