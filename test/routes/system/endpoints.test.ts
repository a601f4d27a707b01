/** The other system endpoints, and the border around them: nothing below /polaris-container is ever forwarded. */
import { createPublicKey } from 'node:crypto'
import t from 'tap'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, statusOf } from '../../fixtures/raw.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.test('publicKey and logLevel answer as the original', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9', logLevel: 'warn' })
  const {
    publicKey, ...nothingElse
  } = await (await fetch(`${url}/polaris-container/publicKey`)).json() as { publicKey: string }
  t.same(nothingElse, {})
  t.match(publicKey, /^-----BEGIN PUBLIC KEY-----\n/)
  t.equal(createPublicKey(publicKey).asymmetricKeyType, 'rsa')
  t.same(await (await fetch(`${url}/polaris-container/logLevel`)).json(), { level: 'warn' })

  const silent = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9', enableLogging: false })
  t.same(await (await fetch(`${silent.url}/polaris-container/logLevel`)).json(), { level: 'silent' })
})

t.test('system responses carry the security headers of the original; the workload\'s keep their own', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const { headers } = await fetch(`${url}/polaris-container/health`)
  for (const name of [
    'strict-transport-security', 'x-content-type-options', 'content-security-policy', 'x-frame-options'
  ]) {
    t.ok(headers.has(name), name)
  }
  const forwarded = await fetch(url)
  for (const name of ['strict-transport-security', 'content-security-policy', 'x-frame-options', 'cache-control']) {
    t.notOk(forwarded.headers.has(name), name)
  }
})

const system = [
  '/polaris-container', '/polaris-container/', '/polaris-container/x', '/polaris-container/health/',
  '/polaris-container/health/x',
  '/polaris-container/Health', '/%70olaris-container/x', '/polaris%2dcontainer/x', '/polaris-container%2fx',
  '/polaris-container/../x',
  '/polaris-container/%zz', '/%zz/../polaris-container/x', '/x/../polaris-container/x', '/./polaris-container/health',
  '//polaris-container/health',
  '/polaris-container?x', '/polaris-container/x?y', 'http://elsewhere.example/polaris-container/x',
  'http://elsewhere.example/x/../polaris-container/x',
  '/a\\..\\polaris-container/health', '/\\polaris-container/health',
  '/a\\..\\polaris-container\\health', '/polaris-container\\x', '/a%5c..%5cpolaris-container/x',
  '/a%5C..%5Cpolaris-container%5Cx', '/a%2f..%2fpolaris-container/x', '/%2e%2e/polaris-container/x',
  '/..%5cpolaris-container/x', '/%252e%252e/polaris-container/x',
  '/x/..;/polaris-container/x', '/x/..;a=b/polaris-container/x', '/polaris-container;x/health',
  '/x%3b/../polaris-container/x', '/../../polaris-container/health'
]

t.test('whatever names a system path but no endpoint is 404 and never forwarded', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url, contextRoot: '/proxy' })
  const rooted = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const target of system) {
    for (const [to, path] of [[rooted.port, target], [port, target], [port, target.replace('/', '/proxy/')]] as const) {
      if (target.startsWith('http:') && path !== target) continue
      const client = await rawClient(t, to)
      client.send(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
      const response = await client.end
      t.equal(statusOf(response), 404, path)
      t.match(response, /\r\ncontent-type: application\/problem\+json\r\n/)
    }
  }
  t.same(workload.received.map(({ url }) => url), [])
})

t.test('what only resembles a system path is the workload\'s', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const targets = [
    '/polaris-containers', '/x/polaris-container/health', '/polaris-container-2/x', '/?/polaris-container/x',
    '/Polaris-Container/health', '/x;/polaris-container', '/a?../polaris-container',
    '/%25252525252525252525polaris-container'
  ]
  for (const target of targets) t.equal((await fetch(url + target)).status, 200, target)
  t.same(workload.received.map(received => received.url), targets)
})

t.test('a system path is 404 for every method and every body', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' })
  const cases: RequestInit[] = [
    { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } },
    { method: 'POST', body: 'x', headers: { 'content-type': 'nonsense' } },
    { method: 'PROPFIND' }, { method: 'DELETE' }, { method: 'QUERY', body: 'x' }
  ]
  for (const init of cases) {
    for (const path of ['/polaris-container/x', '/polaris-container/health']) {
      const response = await fetch(url + path, init)
      t.equal(response.status, 404, `${init.method} ${path}`)
      t.equal(response.headers.get('content-type'), 'application/problem+json')
    }
  }
})

t.test('a decrypted target below the system path is 404 and not forwarded', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(
    t, { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true }
  )
  const client = await v1Client(url)
  for (const target of system.filter(target => target.startsWith('/'))) {
    const response = await fetch(url, { method: 'GET', headers: (await client.request({ target })).headers })
    t.equal(response.status, 404, target)
  }
  t.same(workload.received, [])
})

t.test('the endpoints answer at the root and below the context root', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9', contextRoot: '/proxy' })
  for (const root of ['', '/proxy']) {
    for (const path of ['health', 'livez', 'readyz', 'startupz', 'publicKey', 'logLevel', 'about']) {
      t.equal((await fetch(`${url}${root}/polaris-container/${path}`)).status, 200, `${root} ${path}`)
    }
  }
  t.equal((await fetch(`${url}/proxyx/polaris-container/health`)).status, 404)
})

t.test('HEAD works where GET does', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' })
  t.equal((await fetch(`${url}/polaris-container/health`, { method: 'HEAD' })).status, 200)
})

t.test('the proxy\'s own endpoints answer to absolute-form targets, as to any other', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url, contextRoot: '/proxy' })
  for (const path of [
    '/polaris-container/livez', '/polaris-container/publicKey', '/proxy/polaris-container/readyz',
    '/.well-known/ohttp-gateway', '/polaris-container/keys?x'
  ]) {
    for (const authority of ['http://elsewhere.example', 'HTTPS://elsewhere.example:444']) {
      const client = await rawClient(t, port)
      client.send(`GET ${authority}${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
      t.equal(statusOf(await client.end), 200, authority + path)
    }
  }
  t.same(workload.received, [])
})
