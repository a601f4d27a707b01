/** However several processes are ended, what they began is finished where that is possible, and none is left behind. */
import { EventEmitter, once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { run, startServer } from '../fixtures/process.ts'
import { isAlive, pids, startWorkers, until } from '../fixtures/workers.ts'

t.test('SIGTERM: what is in flight in any worker finishes, and no process is left', async t => {
  for (const toAll of [false, true]) {
    const events = new EventEmitter()
    const { server } = await startWorkers(
      t, { POLARIS_CONTAINER_STOP_TIMEOUT: '60s' }, (_request, response) => events.emit('request', response)
    )
    const open: ServerResponse[] = []
    events.on('request', (response: ServerResponse) => open.push(response))
    const answers = Array.from({ length: 4 }, async () => {
      const [answer] = await once(
        httpRequest(server.url, { agent: new Agent() }).end(), 'response'
      ) as [IncomingMessage]
      return text(answer)
    })
    await until(() => open.length === 4)
    const workers = pids(server, /"Server listening/)
    server.child.kill('SIGTERM')
    // As a terminal or systemd does, which signal all processes.
    if (toAll) for (const pid of workers) process.kill(pid, 'SIGTERM')
    await until(() => pids(server, /"stopping"/).size === 3)
    for (const response of open) response.end('finished')
    t.same(await Promise.all(answers), Array(4).fill('finished'))
    t.equal(await server.exit, 0)
    t.same([...workers].filter(isAlive), [])
    t.equal(server.stderr(), '')
  }
})

t.test('SIGKILL of the primary ends the workers', async t => {
  const { server } = await startWorkers(t)
  const workers = [...pids(server, /"Server listening/)]
  server.child.kill('SIGKILL')
  t.equal(await server.exit, 'SIGKILL', 'the pipes that the workers share are closed, so they are gone, too')
  await until(() => !workers.some(isAlive))
  await t.rejects(fetch(server.url))
})

t.test('SIGTERM while the workers start ends all', async t => {
  for (const delay of [0, 300]) {
    const server = run(
      t, ['server.ts'],
      { PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9', POLARIS_CONTAINER_WORKERS: '2' }
    )
    // The first worker that logs is far from serving.
    await server.line(/"protections"/)
    await setTimeout(delay)
    server.child.kill('SIGTERM')
    t.equal(await server.exit, 0)
    t.same([...pids(server, /./)].filter(isAlive), [])
  }
})

t.test('SIGHUP to all of them ends none', async t => {
  const { server } = await startWorkers(t)
  for (const pid of [server.child.pid as number, ...pids(server, /"Server listening/)]) process.kill(pid, 'SIGHUP')
  await setTimeout(200)
  t.equal((await fetch(`${server.url}/polaris-container/livez`)).status, 200)
  t.notMatch(server.lines.join(''), /a worker ended/)
})

t.test('a configuration that cannot be used ends it with one message', async t => {
  const server = run(t, ['server.ts'], { POLARIS_CONTAINER_WORKERS: '2', PORT: 'hunter2' })
  t.equal(await server.exit, 1)
  t.same(server.lines, [])
  t.equal(server.stderr().match(/cannot be used/g)?.length, 1)
})

t.test('an address that is taken ends it', async t => {
  const first = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9' })
  const second = run(t, ['server.ts'], {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9', POLARIS_CONTAINER_WORKERS: '2', PORT: String(first.port)
  })
  t.equal(await second.exit, 1)
  t.same(second.stderr().trimEnd().split('\n'), [
    'The configuration cannot be used:', `  - PORT: port ${first.port} is in use (EADDRINUSE)`
  ])
  t.notMatch(second.lines.join('\n'), /unexpected/)
  // A worker that was still starting ends when it finds its primary gone: a moment later, but by itself.
  await until(() => ![...pids(second, /./)].some(isAlive))
})
