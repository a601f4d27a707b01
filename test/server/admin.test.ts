/** The listener for operators: where it is, what it has, and that the public one has none of it. */
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../../lib/config/config.ts'
import { adminClient, adminOf, parsePage } from '../fixtures/metrics.ts'
import { freePort, run, START } from '../fixtures/process.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { startWorkload } from '../fixtures/workload.ts'

const base = { POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9' }

t.test('what is an address to listen on', async t => {
  const accepted = ['127.0.0.1:9464', '0.0.0.0:0', '[::1]:9464', '[::ffff:127.0.0.1]:1', 'unix:/run/polaris/admin.sock']
  const refused = [
    '9464', ':9464', 'localhost:9464', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', '127.0.0.1:094',
    '127.0.0.1:9464 ,', '127.1:9464',
    '256.0.0.1:9464', '::1:9464', '[::1]', '[127.0.0.1]:9464', '[fe80::1%eth0]:9464', '127.0.0.1:9464/metrics',
    'http://127.0.0.1:9464',
    'unix:', 'unix:relative.sock', 'unix:/', 'unix:/run/', 'unix:/a b', `unix:/${'x'.repeat(107)}`, '/run/admin.sock',
    '127.0.0.1:-1', '127.0.0.1:1e3'
  ]
  for (const text of accepted) {
    t.equal(loadConfig({ ...base, POLARIS_CONTAINER_ADMIN_ADDRESS: text }).adminAddress, text)
  }
  for (const text of refused) {
    t.throws(
      () => loadConfig({ ...base, POLARIS_CONTAINER_ADMIN_ADDRESS: text }),
      /ADMIN_ADDRESS has a value that is not accepted/, text
    )
  }
  t.throws(
    () => loadConfig({ ...base, PORT: '9464', POLARIS_CONTAINER_ADMIN_ADDRESS: '127.0.0.1:9464' }),
    /must not have the port of PORT/
  )
})

t.test('it has three endpoints, and no other method or path', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, adminAddress: '127.0.0.1:0' })
  const admin = adminOf(proxy.log)
  const page = await admin.get('/metrics')
  t.equal(page.status, 200)
  t.equal(page.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.equal(page.headers['cache-control'], 'no-store')
  t.ok(parsePage(page.body).length > 20)
  t.match(await admin.get('/livez'), { status: 200, body: '{"status":"ok"}' })
  t.match(await admin.get('/readyz'), { status: 200, body: '{"status":"ok"}' })
  t.match(await admin.get('/metrics?x=1', 'HEAD'), { status: 200, body: '' })
  for (const path of ['/', '/metrics/', '/polaris-container/readyz', '/toString', '/__proto__', '//metrics']) {
    t.equal((await admin.get(path)).status, 404, path)
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    t.equal((await admin.get('/metrics', method)).status, 405, method)
  }

  // On the public port these are paths of the workload, or none at all.
  for (const path of ['/metrics', '/livez', '/readyz']) {
    t.equal((await (await fetch(proxy.url + path)).json() as { url: string }).url, path)
    t.equal(
      (await fetch(`${proxy.url}/polaris-container${path.replace('livez', 'x').replace('readyz', 'y')}`)).status, 404
    )
  }
})

t.test('it says why the proxy is not ready', async t => {
  const proxy = await startProxy(
    t,
    { workloadBaseUrl: `http://127.0.0.1:${await freePort()}`, readyChecksWorkload: true, adminAddress: '127.0.0.1:0' }
  )
  const admin = adminOf(proxy.log)
  const { status, body } = await admin.get('/readyz')
  t.equal(status, 503)
  t.strictSame(JSON.parse(body), { status: 'not ready', reasons: ['workload: does not accept connections'] })
  t.equal(await admin.value('polaris_ready', { worker: '1' }), 0)
  t.equal((await admin.get('/livez')).status, 200)
})

t.test('it listens on IPv6, and on a Unix socket that a killed process may have left', async t => {
  const workload = await startWorkload(t)
  const v6 = await startProxy(t, { workloadBaseUrl: workload.url, adminAddress: '[::1]:0' })
  t.ok(parsePage(await adminOf(v6.log).page()).length > 20)

  // Not in a directory of the test: its path is too long for a socket.
  const directory = mkdtempSync(join(tmpdir(), 'polaris-admin-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = `${directory}/admin.sock`
  const server = createServer().listen(path)
  await once(server, 'listening')
  await t.rejects(
    startProxy(t, { workloadBaseUrl: workload.url, adminAddress: `unix:${path}` }),
    /ADMIN_ADDRESS cannot be listened on \(EADDRINUSE\)/
  )
  server.close()
  writeFileSync(path, '')
  await t.rejects(
    startProxy(t, { workloadBaseUrl: workload.url, adminAddress: `unix:${path}` }),
    /ADMIN_ADDRESS cannot be listened on/, 'a file is not removed'
  )
  t.ok(existsSync(path))

  const left = `${directory}/left.sock`
  const child = run(
    t, ['-e', `require('net').createServer().listen(${JSON.stringify(left)}, () => console.log('there'))`]
  )
  await child.line(/there/)
  child.child.kill('SIGKILL')
  await child.exit
  t.ok(existsSync(left))
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, adminAddress: `unix:${left}` })
  t.ok(parsePage(await adminClient(`unix:${left}`).page()).length > 20)
  await proxy.close()
  t.notOk(existsSync(left), 'and it takes it away when it ends')
})

t.test('an address that is taken stops the start, with the setting to change, with workers as without', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  for (const workers of ['1', '2']) {
    const { exit, stderr } = run(
      t, START,
      { ...base, PORT: '0', POLARIS_CONTAINER_WORKERS: workers, POLARIS_CONTAINER_ADMIN_ADDRESS: `127.0.0.1:${port}` }
    )
    t.equal(await exit, 1)
    t.match(stderr(), /POLARIS_CONTAINER_ADMIN_ADDRESS cannot be listened on \(EADDRINUSE\)/)
  }
})

t.test('without the setting nothing listens, and nothing counts', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  await (await fetch(`${proxy.url}/x`)).text()
  t.throws(() => adminOf(proxy.log), /no admin endpoints/)
})
