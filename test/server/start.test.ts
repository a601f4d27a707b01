/** The process listens before its keys are there, and `fastify start` and other people's apps serve the same. */
import fastify from 'fastify'
import t from 'tap'
import polaris, { options as serverOptions } from '../../app.ts'
import { freePort, run, startServer, untilReady } from '../fixtures/process.ts'
import { v1Client } from '../fixtures/v1-client.ts'
import { startWorkload } from '../fixtures/workload.ts'

t.test('server.ts listens and lives while there is no key yet', async t => {
  const server = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9' })
  t.equal((await fetch(`${server.url}/polaris-container/livez`)).status, 200)
  await untilReady(server.url)
  const at = (pattern: RegExp) => server.lines.findIndex(line => pattern.test(line))
  await server.line(/"keys ready"/)
  t.ok(at(/Server listening/) < at(/"keys ready"/), 'it listened first')
})

t.test('fastify start serves health, keys, and the proxy', async t => {
  const workload = await startWorkload(t)
  const port = await freePort()
  const server = run(t, ['node_modules/fastify-cli/cli.js', 'start', '-l', 'info', '-p', String(port), 'app.ts'], {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
    POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true',
    POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true'
  })
  const url = `http://127.0.0.1:${port}`
  await untilReady(url)
  t.same(await (await fetch(`${url}/polaris-container/health`)).json(), { status: 'ok' })
  const client = await v1Client(url)
  const response = await fetch(
    url, { method: 'POST', ...await client.request({ target: '/inside?hunter2', body: 'hunter2' }) }
  )
  t.match((await client.open(response)).toString(), '"url":"/inside?hunter2"')
  t.equal((await fetch(`${url}/polaris-container/x`)).status, 404)
  t.equal((await fetch(url)).status, 400)
  t.notMatch(server.lines.join(''), 'hunter2')
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
})

t.test('somebody else\'s app keeps its own routes, errors and parsers beside the proxy', async t => {
  const workload = await startWorkload(t)
  const app = fastify({ logger: false })
  app.get('/own', async () => ({ own: true }))
  app.post('/own', async ({ body }) => ({ body }))
  app.get('/own/error', async () => { throw new Error('own') })
  await app.register(polaris, { config: { workloadBaseUrl: workload.url } })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())

  t.same(await (await fetch(`${url}/own`)).json(), { own: true })
  const posted = await fetch(
    `${url}/own`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' }
  )
  t.same(await posted.json(), { body: { a: 1 } })
  t.match(await (await fetch(`${url}/own/error`)).json(), { statusCode: 500, message: 'own' })
  t.equal((await fetch(`${url}/polaris-container/health`)).status, 200)
  t.match(
    await (await fetch(`${url}/elsewhere?q`, { method: 'PUT', body: 'x' })).json(),
    { method: 'PUT', url: '/elsewhere?q' }
  )
  t.same(workload.received.length, 1)
})

t.test('an app with the proxy in it closes', async t => {
  const workload = await startWorkload(t)
  const app = fastify({ logger: false, ...serverOptions })
  await app.register(polaris, { config: { workloadBaseUrl: workload.url } })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.equal((await fetch(url)).status, 200)
  await app.close()
  await t.rejects(fetch(url))
})

t.test('a configuration in code that cannot be used is refused at boot', async t => {
  const app = fastify({ logger: false })
  await t.rejects(async () => {
    await app.register(polaris, { config: { workloadBaseUrl: 'hunter2' } })
  }, { code: 'ERR_CONFIG', message: /WORKLOAD_BASE_URL has a value/ })
  await app.close()
})

t.test('without options the environment is read', async t => {
  const app = fastify({ logger: false })
  const before = process.env['POLARIS_CONTAINER_WORKLOAD_BASE_URL']
  process.env['POLARIS_CONTAINER_WORKLOAD_BASE_URL'] = 'http://127.0.0.1:9'
  t.teardown(() => {
    if (before === undefined) delete process.env['POLARIS_CONTAINER_WORKLOAD_BASE_URL']
    else process.env['POLARIS_CONTAINER_WORKLOAD_BASE_URL'] = before
  })
  await app.register(polaris)
  await app.ready()
  t.equal((await app.inject('/polaris-container/livez')).statusCode, 200)
  await app.close()
})
