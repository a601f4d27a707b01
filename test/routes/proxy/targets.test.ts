/** The request target reaches the workload byte for byte. */
import t from 'tap'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, rawExchange, statusOf } from '../../fixtures/raw.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const verbatim = [
  '/', '/?', '/a', '/a/', '/a/../b', '/a/./b', '/..', '/%zz', '/%', '/%2e%2e/', '/x/?', '//d//e', '///', '/inspect?q=1',
  '/inspect/?q=1',
  '/?q=1&q=2&&=', '/a?b?c', '/a;b=c', '/a%20b', '/a+b', '/%E4%F6', '/~`!@$^&*()[]{}|\\"<>\':', '/a:80/b', '/*', '/a//',
  `/${'x'.repeat(8192)}`,
  `/long?${'q=%7f&'.repeat(1400)}`, '/http://elsewhere.example/'
]
const rewritten: Array<[string, string]> = [
  ['/a#fragment', '/a'], ['/a?b#c?d', '/a?b'],
  ['http://elsewhere.example/a/../b?q=1', '/a/../b?q=1'], ['http://elsewhere.example', '/'],
  ['http://elsewhere.example?q', '/?q'],
  ['HTTPS://elsewhere.example:8443/%zz', '/%zz']
]

t.test('targets are forwarded as they are, but for fragments and the authority of the absolute form', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const [sent, arrives] of [...verbatim.map(target => [target, target] as const), ...rewritten]) {
    workload.received.length = 0
    const response = await rawExchange(t, port, `GET ${sent} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    t.equal(statusOf(response), 200, sent.slice(0, 60))
    t.same(workload.received.map(({ url }) => url), [arrives])
  }
})

t.test('targets that are no path are refused', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const cases: Array<[string, number]> = [
    ['OPTIONS *', 404], ['GET *', 400], ['GET ftp://x/', 400], ['GET x:80', 400], ['GET /\xff', 400],
    ['GET /a\x01', 400], ['GET ?x', 400]
  ]
  for (const [line, status] of cases) {
    const response = await rawExchange(t, port, `${line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    t.equal(statusOf(response), status, line)
    t.match(response, /\r\ncontent-type: application\/problem\+json\r\n/)
  }
  t.same(workload.received, [])
})

t.test('a path in the workload\'s URL is put in front', async t => {
  const workload = await startWorkload(t)
  for (const base of ['/base', '/base/']) {
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url + base })
    await fetch(`${url}/x?y`)
    await fetch(url)
    t.same(workload.received.splice(0).map(received => received.url), ['/base/x?y', '/base/'])
  }
})

t.test('dot segments do not lead out of a path in the workload\'s URL, however they are spelled', async t => {
  const workload = await startWorkload(t)
  const base = await startProxy(t, { workloadBaseUrl: `${workload.url}/api` })
  const none = await startProxy(t, { workloadBaseUrl: workload.url })
  const get = async (port: number, target: string) => statusOf(
    await rawExchange(t, port, `GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
  )
  const out = [
    '/..', '/../', '/../x', '/a/../../x', '/a/./../../x', '/%2e%2e/x', '/.%2E/x', '/a%2f..%2f..%2fx', '/..%2fx',
    '/..\\x', '/a\\..\\..\\x', '/%2e%2e%5cx',
    '/..;/x', '/a/..;b/..;c/x', '/%252e%252e/x', '//../x', '/a/../../api/x', 'http://x/../y'
  ]
  for (const target of out) {
    t.equal(await get(base.port, target), 400, target)
    t.equal(await get(none.port, target), 200, `${target}, without such a path`)
  }
  workload.received.length = 0
  const within = ['/a/../x', '/a/b/../../x', '/...', '/..a/b', '/a..', '/a/%2e%2e/x', '/.', '/a?/../../x', '/a//../x']
  for (const target of within) t.equal(await get(base.port, target), 200, target)
  t.same(workload.received.map(({ url }) => url), within.map(target => `/api${target}`))
})

t.test('the context root is removed, and outside of it there is nothing', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url, contextRoot: '/proxy' })
  const cases: Array<[string, string | undefined]> = [
    ['/proxy', '/'], ['/proxy/', '/'], ['/proxy?q', '/?q'], ['/proxy/a/', '/a/'], ['/proxy//a', '//a'],
    ['/proxy/%zz', '/%zz'], ['/proxy/proxy/a', '/proxy/a'],
    ['/proxyx', undefined], ['/proxyx/a', undefined], ['/', undefined], ['/a', undefined], ['/a/proxy/b', undefined],
    ['/PROXY/a', undefined], ['/%zz', undefined]
  ]
  for (const [sent, arrives] of cases) {
    workload.received.length = 0
    const response = await rawExchange(t, port, `GET ${sent} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    t.equal(statusOf(response), arrives === undefined ? 404 : 200, sent)
    t.same(workload.received.map(({ url }) => url), arrives === undefined ? [] : [arrives])
  }
})

t.test('a target and headers past the limit are refused, and so is what is no HTTP', async t => {
  const { port } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' })
  const cases: Array<[string, number]> = [
    [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`, 431],
    ['nonsense\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nconnection: close\r\n\r\n', 400],
    ['GET /polaris-container/health HTTP/1.1\r\nconnection: close\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\nconnection: close\r\n\r\n', 400],
    ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n', 400],
    ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nhost: x\r\nbad name: y\r\n\r\n', 400]
  ]
  for (const [request, status] of cases) {
    const response = await rawExchange(t, port, request)
    t.equal(statusOf(response), status, request.slice(0, 40))
    t.match(response, /\r\ncontent-type: application\/problem\+json\r\n/)
  }
})

t.test('what the parser refuses is answered with a problem, not with what was sent, and not logged', async t => {
  const { port, log } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' })
  const response = await rawExchange(t, port, 'hunter2 HTTP/1.1\r\n\r\n')
  t.match(response, /\r\ncontent-type: application\/problem\+json\r\n/)
  t.match(
    JSON.parse(response.slice(response.indexOf('{'))),
    { type: 'urn:polaris-secure-proxy:problem:bad-request', status: 400, requestId: /^[\da-f-]{36}$/ }
  )
  t.notMatch(response + log.join(''), 'hunter2')
})

t.test('what breaks within a second request never gets mixed into an answer', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, port)
  client.send('GET /first HTTP/1.1\r\nhost: x\r\n\r\n')
  await client.until('/first')
  client.send('nonsense\r\n\r\n')
  t.equal((await client.end).split('HTTP/1.1').length, 2, 'one response, then the end')
})
