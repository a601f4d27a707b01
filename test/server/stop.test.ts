/** On SIGTERM the proxy says that it is not ready, finishes what it began, and ends with 0. */
import { EventEmitter, once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { run, startServer, untilReady } from '../fixtures/process.ts'
import type { Server } from '../fixtures/process.ts'
import { rawClient } from '../fixtures/raw.ts'
import { startWorkload } from '../fixtures/workload.ts'

/** A proxy in front of a workload whose answers the test gives. */
async function setUp (t: Test, env: Record<string, string> = {}) {
  const events = new EventEmitter()
  const workload = await startWorkload(t, (_request, response) => events.emit('request', response))
  const server = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url, ...env })
  await untilReady(server.url)
  return { events, server }
}

/** A request over a connection that its client keeps alive, and the workload's side of it. */
async function inFlight (t: Test, { events, server }: { events: EventEmitter, server: Server }) {
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const reached = once(events, 'request') as Promise<[ServerResponse]>
  const answered = once(httpRequest(`${server.url}/x`, { agent }).end(), 'response') as Promise<[IncomingMessage]>
  // Where it is cut off, that is seen where it is awaited.
  answered.catch(() => undefined)
  const [response] = await reached
  return { response, answered }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal}: what is in flight finishes, nothing new is let in, the exit code is 0`, async t => {
    const setup = await setUp(t, { POLARIS_CONTAINER_STOP_TIMEOUT: '60s' })
    const { server } = setup
    const { response, answered } = await inFlight(t, setup)
    const idle = await rawClient(t, server.port)
    server.child.kill(signal)
    await server.line(/"stopping"/)
    await idle.end
    response.end('finished')
    const [answer] = await answered
    t.equal(await text(answer), 'finished')
    t.equal(await server.exit, 0, 'without waiting for the kept-alive connection or the deadline')
    t.match(server.lines.at(-1), /"stopped"/)
    t.notMatch(server.lines.join(''), /cutting off/)
    t.equal(server.stderr(), '')
    await t.rejects(fetch(server.url), 'nothing listens any more')
  })
}

t.test('a response that streams when the signal comes is finished', async t => {
  const setup = await setUp(t)
  const { response, answered } = await inFlight(t, setup)
  response.write('first ')
  const [answer] = await answered
  setup.server.child.kill('SIGTERM')
  await setup.server.line(/"stopping"/)
  response.end('last')
  t.equal(await text(answer), 'first last')
  t.equal(await setup.server.exit, 0)
})

t.test('STOP_TIMEOUT cuts off what does not finish', async t => {
  const setup = await setUp(t, { POLARIS_CONTAINER_STOP_TIMEOUT: '500ms' })
  const { answered } = await inFlight(t, setup)
  setup.server.child.kill('SIGTERM')
  t.equal(await setup.server.exit, 0)
  await t.rejects(answered)
  t.match(setup.server.lines.join(''), /cutting off exchanges that did not finish in time/)
})

t.test('a connection that is still open for a refused client to read why does not hold up the stop', async t => {
  const setup = await setUp(
    t, { POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true', POLARIS_CONTAINER_STOP_TIMEOUT: '2s' }
  )
  const { server } = setup
  const client = await rawClient(t, server.port, { allowHalfOpen: true })
  client.send('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n')
  const ended = once(client.socket, 'end')
  await client.until('encryption-required')
  await ended
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
  t.notMatch(server.lines.join(''), /cutting off/)
})

t.test('STOP_DELAY: requests are served on while readyz already says no', async t => {
  const { events, server } = await setUp(t, { POLARIS_CONTAINER_STOP_DELAY: '3s' })
  events.on('request', (response: ServerResponse) => response.end('served'))
  server.child.kill('SIGTERM')
  await server.line(/"stopping"/)
  // The signal and the log line come before readiness changes, by a turn of the event loop or a few.
  let ready = await fetch(`${server.url}/polaris-container/readyz`)
  while (ready.ok) {
    await setTimeout(10)
    ready = await fetch(`${server.url}/polaris-container/readyz`)
  }
  t.equal(ready.status, 503)
  t.same(await ready.json(), { status: 'not ready', reasons: ['stopping'] })
  t.equal(await (await fetch(server.url)).text(), 'served')
  t.equal((await fetch(`${server.url}/polaris-container/livez`)).status, 200)
  t.equal(await server.exit, 0)
})

t.test('a signal while the proxy starts ends it, too', async t => {
  const server = run(t, ['server.ts'], { PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9' })
  await server.line(/"protections"/)
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
})

t.test('SIGHUP does not end it', async t => {
  const { server } = await setUp(t)
  server.child.kill('SIGHUP')
  await setTimeout(200)
  t.equal((await fetch(`${server.url}/polaris-container/livez`)).status, 200)
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
})

for (const [name, request] of [
  ['GET', 'GET /x HTTP/1.1\r\nhost: x\r\n\r\n'],
  ['POST', 'POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody'],
  ['POST in chunks', 'POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n'],
  [
    'POST whose body the workload leaves unread',
    `POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(100_000)}`
  ]
] as const) {
  t.test(`a ${name} in flight is answered with Connection: close, and nothing holds up the exit then`, async t => {
    const setup = await setUp(t, { POLARIS_CONTAINER_STOP_TIMEOUT: '60s' })
    const { server, events } = setup
    const client = await rawClient(t, server.port)
    const reached = once(events, 'request') as Promise<[ServerResponse]>
    client.send(request)
    const [response] = await reached
    if (!name.includes('unread')) response.req.resume()
    server.child.kill('SIGTERM')
    await server.line(/"stopping"/)
    response.end('finished')
    const answer = await client.until('finished')
    t.match(answer, /\r\nconnection: close\r\n/i)
    // The client does not close: it may keep its side open for as long as it likes.
    t.equal(await server.exit, 0)
    t.notMatch(server.lines.join(''), /cutting off/)
  })
}

t.test('answers while load balancers notice are the last on their connections, too', async t => {
  const setup = await setUp(t, { POLARIS_CONTAINER_STOP_DELAY: '1s' })
  const { server, events } = setup
  events.on('request', (response: ServerResponse) => response.end('served'))
  const client = await rawClient(t, server.port)
  client.send('GET /x HTTP/1.1\r\nhost: x\r\n\r\n')
  t.match(await client.until('served'), /\r\nconnection: keep-alive\r\n/i)
  server.child.kill('SIGTERM')
  await server.line(/"stopping"/)
  client.send('GET /y HTTP/1.1\r\nhost: x\r\n\r\n')
  t.match((await client.end).split('served')[1], /\r\nconnection: close\r\n/i)
  t.equal(await server.exit, 0)
})
