/** One page for all workers: sums that do not fall when a worker dies, and a line of health from the primary. */
import { readFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { adminOf } from '../fixtures/metrics.ts'
import { untilReady } from '../fixtures/process.ts'
import { isAlive, pids, startWorkers, until } from '../fixtures/workers.ts'

/** On a connection of its own, as a client does that just came. */
async function get (url: string): Promise<number> {
  const [answer] = await once(
    httpRequest(url, { agent: new Agent(), headers: { connection: 'close' } }).end(), 'response'
  ) as [IncomingMessage]
  await answer.resume().toArray()
  return answer.statusCode ?? 0
}

t.test('numbers of all workers are added up, and outlive them', async t => {
  const { server } = await startWorkers(t, { POLARIS_CONTAINER_ADMIN_ADDRESS: '127.0.0.1:0' })
  const admin = adminOf(server.lines)
  const served = () => admin.value('polaris_requests_total', { protocol: 'plain', status: '2xx' })
  for (let i = 0; i < 20; i++) t.equal(await get(`${server.url}/${i}`), 200)
  while (await served() !== 20) await setTimeout(20)
  t.match(await admin.get('/readyz'), { status: 200 })
  for (const worker of ['primary', '1', '2']) {
    t.ok((await admin.value('polaris_resident_memory_bytes', { worker }) ?? 0) > 0, worker)
  }
  t.equal(await admin.value('polaris_keys', { kind: 'rsa', state: 'active' }), 1, 'the same key in each')
  t.equal(await admin.value('polaris_replay_store_capacity', { store: 'requests' }) !== undefined, true)

  const cpu = await admin.value('polaris_cpu_seconds_total') ?? 0
  const [killed] = [...pids(server, /"Server listening/)]
  process.kill(killed!, 'SIGKILL')
  let before = 0
  while (pids(server, /"Server listening/).size < 3) {
    const now = await served() ?? 0
    t.ok(now >= before, 'it does not fall')
    before = now
    await setTimeout(50)
  }
  t.equal(await served(), 20)
  t.ok((await admin.value('polaris_cpu_seconds_total') ?? 0) >= cpu)
  t.equal(await admin.value('polaris_worker_restarts_total'), 1)
  await untilReady(server.url)
  for (let i = 0; i < 10; i++) t.equal(await get(`${server.url}/${i}`), 200)
  while (await served() !== 30) await setTimeout(20)
})

t.test('a worker that hangs is not waited for, keeps its numbers, and is not ready', async t => {
  const { server } = await startWorkers(t, { POLARIS_CONTAINER_ADMIN_ADDRESS: '127.0.0.1:0' })
  const admin = adminOf(server.lines)
  for (let i = 0; i < 10; i++) t.equal(await get(`${server.url}/${i}`), 200)
  while (await admin.value('polaris_requests_total', { protocol: 'plain' }) !== 10) await setTimeout(20)
  const [hanging] = [...pids(server, /"Server listening/)]
  process.kill(hanging!, 'SIGSTOP')
  t.equal(await admin.value('polaris_requests_total', { protocol: 'plain' }), 10)
  t.equal(await admin.value('polaris_ready'), 1, 'of two')
  t.match(await admin.get('/readyz'), { status: 200 }, 'the other one serves')
  process.kill(hanging!, 'SIGCONT')
  while (await admin.value('polaris_ready') !== 2) await setTimeout(20)
})

t.test('SIGUSR2 to the whole process group writes one line of health, and ends nobody', async t => {
  const { server } = await startWorkers(t)
  const all = [server.child.pid!, ...pids(server, /"Server listening/)]
  t.equal(await get(`${server.url}/secret-path`), 200)
  for (const pid of all) process.kill(pid, 'SIGUSR2')
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  ) as { version: string }
  const { health } = JSON.parse(await server.line(/"msg":"health"/)) as { health: object }
  t.match(health, {
    version,
    node: process.versions.node,
    ready: true,
    uptime: Number,
    keys: {
      rsa: { active: 1, age: Number }, hpke: { active: Number }
    },
    connections: { open: Number },
    rss: Number,
    heap: Number
  })
  t.notOk(JSON.stringify(health).includes('secret'))
  await setTimeout(200)
  t.equal(server.lines.filter(line => line.includes('"msg":"health"')).length, 1)
  t.ok(all.every(isAlive))
  await until(() => pids(server, /"Server listening/).size === 2)
})
