/**
 * `npm run soak`: thirty minutes of everything at once, or `-- --minutes 5`, with a report at the end. Ends with 1 if
 * anything was wrong. An interruption ends it early, with the report. Redis is needed (Debian: redis-server).
 */
import { parseArgs } from 'node:util'
import t from 'tap'
import { noRedis } from '../../test/fixtures/redis.ts'
import { expectations } from './expectations.ts'
import { soak } from './soak.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    connections: { type: 'string', default: '200' },
    /** Of a client between two exchanges, in milliseconds. */
    pause: { type: 'string', default: '2000' }
  }
})
const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stopping.abort())
const say = (line: string) => { process.stdout.write(`# ${line}\n`) }

t.setTimeout(0)
t.test('soak', { skip: noRedis }, async t => {
  t.setTimeout(0)
  const report = await soak(t, {
    minutes: Number(values.minutes),
    connections: Number(values.connections),
    pause: Number(values.pause),
    failover: 5,
    progress: 60,
    say,
    signal: stopping.signal
  })
  say(JSON.stringify(report, undefined, 2))
  expectations(t, report, true)
})
