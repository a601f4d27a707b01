/**
 * What an event of a stream costs, and how much later it arrives: streams of events of 50 bytes, through the floor, as
 * passthrough and over chunked OHTTP, in turns, on one core; `npm exec -- node bench/events.ts`. Latency is from the
 * workload's write to the client that has the event, opened; what counts is how much more it is than passthrough's.
 */
import { parseArgs } from 'node:util'
import { createListen, createListenSealed, measureEvents } from './event-streams.ts'
import type { EventsRound, Listen } from './event-streams.ts'
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
const INTERVAL = Number(options.interval)

interface Subject {
  readonly name: string
  readonly server: Server
  readonly listen: Listen
}

leaveTheCore()
const workload = await startServer('bench/events-workload.ts', '/', {}, 'others')
const env = { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url }
const floor = await startServer('bench/floor.ts', '/', env, 'one', { flags: startFlags() })
const plain = await startServer(PROXY, '/polaris-container/readyz', env, 'one')
const sealed = await startServer(PROXY, '/polaris-container/readyz', env, 'one')
const subjects: Subject[] = [
  { name: 'floor', server: floor, listen: createListen(floor.url) },
  { name: 'passthrough', server: plain, listen: createListen(plain.url) },
  { name: 'chunked OHTTP', server: sealed, listen: await createListenSealed(sealed.url) }
]

try {
  console.log(`Node ${process.version}, medians of ${ROUNDS} rounds, an event every ${INTERVAL} ms.\n`)
  console.log('| streams | server | CPU µs/event | × passthrough | p50 ms | p99 ms | p99 beside passthrough, ms |')
  console.log('| ---: | --- | ---: | ---: | ---: | ---: | ---: |')
  for (const streams of [16, 64]) {
    const rounds = subjects.map((): EventsRound[] => [])
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [i, subject] of subjects.entries()) {
        const result = await measureEvents(subject.server, subject.listen, streams, COUNT, INTERVAL)
        // Round 0 warms up.
        if (round > 0) rounds[i]!.push(result)
        process.stderr.write('.')
      }
    }
    process.stderr.write('\n')
    const passthrough = rounds[1]!
    for (const [i, { name }] of subjects.entries()) {
      const middle = (pick: (round: EventsRound, passthrough: EventsRound) => number) =>
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

function median (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
