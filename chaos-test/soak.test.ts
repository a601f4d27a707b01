/** The soak in short (npm run soak is the long one): what has to hold whatever the time it takes. */
import t from 'tap'
import { noRedis } from '../test/fixtures/redis.ts'
import { expectations } from './soak/expectations.ts'
import { soak } from './soak/soak.ts'

t.setTimeout(600_000)
t.test('a minute and a half of everything at once: no wrong answer, no crash, no descriptor left open', {
  skip: noRedis
}, async t => {
  t.setTimeout(600_000)
  const report = await soak(t, {
    minutes: 1.5, connections: 60, pause: 1000, failover: 0.5, progress: 15, say: line => t.comment(line)
  })
  t.comment(report)
  expectations(t, report, false)
})
