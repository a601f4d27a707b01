/**
 * A primary told a worker that had just ended, before it could notice: the broken channel was an unexpected error, and
 * took the primary with all other workers down. It happened where machines are busy, such as when many processes start.
 */
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { run } from '../fixtures/process.ts'
import { until } from '../fixtures/workers.ts'

/** The primary compares its state, and tells of changes, this often. */
const LONGER_THAN_A_TICK = 400

t.test('a worker that ends while the primary has no time to notice is replaced', async t => {
  const server = run(t, ['server.ts'], {
    PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9', POLARIS_CONTAINER_WORKERS: '4'
  })
  const { pid } = server.child
  const children = () =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

  // Stopped between two forks, as a busy machine would: what follows them in the primary are its timers.
  let [first] = children()
  while (first === undefined) [first] = children()
  server.child.kill('SIGSTOP')
  process.kill(first, 'SIGKILL')
  await setTimeout(LONGER_THAN_A_TICK)
  server.child.kill('SIGCONT')

  await until(
    () => server.lines.filter(line => line.includes('"Server listening')).length >= 4 || server.child.exitCode !== null
  )
  t.equal(server.child.exitCode, null, server.stderr())
  t.match(server.lines.join('\n'), /a worker exited; starting another/)
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
})
