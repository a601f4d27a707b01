/** TLS as processes serve it: without a plain port, with workers, with replicas, until the stop. */
import { EventEmitter, once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { run, START } from '../../fixtures/process.ts'
import { rsaKey } from '../../fixtures/rsa.ts'
import { noRedis, startRedis } from '../../fixtures/redis.ts'
import { pinOf, servingTls, tlsClient, tlsRequest } from '../../fixtures/tls.ts'
import { pids, until } from '../../fixtures/workers.ts'
import { startWorkload } from '../../fixtures/workload.ts'

async function setUp (t: Test, env: Record<string, string> = {}) {
  const events = new EventEmitter()
  const workload = await startWorkload(t, (request, response) => {
    if (!events.emit('request', response)) response.end(request.url)
  })
  const server = run(t, START, {
    PORT: 'off',
    POLARIS_CONTAINER_TLS: 'attested',
    POLARIS_CONTAINER_TLS_PORT: '0',
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
    ...env
  })
  const port = await servingTls({ log: server.lines })
  while ((await tlsRequest(port, '/polaris-container/readyz')).status !== 200) await setTimeout(20)
  return { events, server, port }
}

t.test('without a plain port TLS alone serves; a stop waits for what is in flight, and for nothing else', async t => {
  const { events, server, port } = await setUp(t, { POLARIS_CONTAINER_STOP_TIMEOUT: '60s' })
  t.notOk(server.lines.some(line => line.includes('Server listening')))
  t.equal((await tlsRequest(port, '/polaris-container/livez')).status, 200)

  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false })
  t.teardown(() => agent.destroy())
  const reached = once(events, 'request') as Promise<[ServerResponse]>
  const request = httpsRequest({ port, agent, host: '127.0.0.1' }).end()
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  const [response] = await reached
  const [unused, idle] = [await tlsClient(t, port), await tlsClient(t, port)]
  idle.write('GET /polaris-container/livez HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(idle, 'data')
  const gone = Promise.all([once(unused, 'close'), once(idle, 'close')])
  server.child.kill('SIGTERM')
  await gone
  await t.rejects(tlsClient(t, port), { code: 'ECONNREFUSED' })
  response.end('finished')
  const [answer] = await answered
  t.equal(await text(answer), 'finished')
  t.equal(await server.exit, 0)
  t.match(server.lines.at(-1), /"stopped"/)
  t.equal(server.stderr(), '')
})

t.test('what does not finish in time is cut off', async t => {
  const { events, server, port } = await setUp(t, { POLARIS_CONTAINER_STOP_TIMEOUT: '300ms' })
  const reached = once(events, 'request')
  const asked = tlsRequest(port, '/')
  await reached
  server.child.kill('SIGTERM')
  await t.rejects(asked, { code: 'ECONNRESET' })
  t.equal(await server.exit, 0)
  t.ok(server.lines.some(line => line.includes('cutting off')))
})

t.test('workers have one key and one secret for tickets: sessions resume with any of them', async t => {
  const { server, port } = await setUp(t, { POLARIS_CONTAINER_WORKERS: '2' })
  await until(() => pids(server, /"TLS key serves"/).size === 2)
  const pins = new Set<string>()
  let session: Buffer | undefined
  let resumed = 0
  for (let i = 0; i < 8; i++) {
    const socket = await tlsClient(t, port, { ...session && { session } })
    // A certificate is shown in the first handshake only.
    if (socket.isSessionReused()) resumed++
    else pins.add(pinOf(socket))
    // Its ticket comes in front of the answer.
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(socket, 'data')
    session = socket.getSession()
    socket.destroy()
  }
  t.equal(pins.size, 1)
  t.equal(resumed, 7)
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
})

t.test('replicas share the key if they derive their HPKE keys from one RSA key; otherwise each has its own', {
  skip: noRedis
}, async t => {
  const keyFile = join(t.testdir(), 'key.pem')
  writeFileSync(keyFile, rsaKey().privatePem, { mode: 0o400 })
  const { url } = await startRedis(t)
  const derived = {
    POLARIS_CONTAINER_KEY_TYPE: 'file',
    POLARIS_CONTAINER_KEY_FILE: keyFile,
    POLARIS_CONTAINER_HPKE_SEED: 'derived',
    POLARIS_CONTAINER_REPLAY_STORE: url
  }
  const pin = async (env: Record<string, string>) => pinOf(await tlsClient(t, (await setUp(t, env)).port))
  const shared = await pin(derived)
  t.equal(await pin(derived), shared)
  t.equal(await pin({ ...derived, POLARIS_CONTAINER_WORKERS: '2' }), shared)
  t.not(await pin({}), await pin({}))
})
