/** Which headers cross the proxy, in clear, in both directions. */
import t from 'tap'
import { startModes } from '../../fixtures/modes.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawExchange, startRawWorkload, statusOf } from '../../fixtures/raw.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const request = (lines: string[]) => [
  'GET / HTTP/1.1', 'host: outer.example', 'connection: close', ...lines, '', ''
].join('\r\n')

t.test('hop-by-hop headers, and those that Connection names, do not reach the workload', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  await rawExchange(t, port, request([
    'connection: x-hop, X-Other , keep-alive', 'x-hop: 1', 'x-other: 1', 'keep-alive: timeout=9',
    'proxy-authorization: Basic x', 'proxy-connection: x',
    'te: trailers', 'trailer: x-t', 'upgrade: h2c', 'http2-settings: x', 'x-end-to-end: yes', 'authorization: Bearer x',
    'cookie: a=1', 'accept-version: 2'
  ]))
  const [received] = workload.received
  const names = Object.keys(received?.headers ?? {})
  for (const name of [
    'x-hop', 'x-other', 'keep-alive', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'upgrade',
    'http2-settings'
  ]) {
    t.notOk(names.includes(name), name)
  }
  t.match(received?.headers, { 'x-end-to-end': 'yes', authorization: 'Bearer x', cookie: 'a=1', 'accept-version': '2' })
  t.equal(received?.headers.host, new URL(workload.url).host)
})

t.test('the proxy\'s own headers do not reach the workload', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url, urlHeader: 'X-Url' })
  await rawExchange(
    t, port, request(['x-url: x', 'polaris-secure: x', 'polaris-response-public-key: x', 'polaris-url: y'])
  )
  const [received] = workload.received
  for (const name of ['x-url', 'polaris-secure', 'polaris-response-public-key']) t.notOk(received?.headers[name], name)
  t.equal(received?.headers['polaris-url'], 'y', 'a name that was configured away is like any other')
})

t.test('repeated headers stay apart, in order, and octets stay octets', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  await rawExchange(t, port, request(['x-a: 1', 'x-b: \xe4\xff', 'X-A: 2', 'cookie: a=1', 'cookie: b=2']))
  const raw = workload.received[0]?.rawHeaders ?? []
  const pairs = raw.flatMap((name, i) => i % 2 === 0 ? [`${name.toLowerCase()}: ${raw[i + 1]}`] : [])
  t.same(
    pairs.filter(pair => /^(x-|cookie)/.test(pair)), ['x-a: 1', 'x-b: \xe4\xff', 'x-a: 2', 'cookie: a=1', 'cookie: b=2']
  )
})

t.test('hop-by-hop headers of the workload do not reach the client; everything else does, repeated too', async t => {
  const workload = await startRawWorkload(t, socket => socket.write([
    'HTTP/1.1 207 Whatever', 'Connection: x-hop, keep-alive', 'x-hop: 1', 'Keep-Alive: timeout=77',
    'Proxy-Authenticate: Basic', 'Upgrade: h2c', 'Trailer: x-t',
    'Set-Cookie: a=1', 'Set-Cookie: b=2', 'X-Octets: \xe4\xff', 'X-Utf8: \xe2\x82\xac', 'ETag: "x"',
    'Content-Length: 2', '', 'ok'
  ].join('\r\n'), 'latin1'))
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const response = await rawExchange(t, port, request([]))
  t.equal(statusOf(response), 207)
  t.notMatch(response, /x-hop|timeout=77|proxy-authenticate|upgrade|trailer/i)
  t.match(response, /set-cookie: a=1\r\nset-cookie: b=2\r\n/i)
  t.match(response, /x-octets: \xe4\xff\r\n/i)
  t.match(response, /x-utf8: \xe2\x82\xac\r\n/i)
  t.match(response, /etag: "x"\r\n/i)
  t.equal(response.match(/^content-length: 2\r$/gim)?.length, 1)
  t.match(response, /\r\n\r\nok$/)
})

const forwardingHeaders = [
  'x-forwarded-for: 203.0.113.1', 'x-forwarded-proto: https', 'x-forwarded-host: public.example',
  'x-forwarded-port: 444', 'forwarded: for=203.0.113.1'
]
const nothing = {
  'x-forwarded-for': undefined,
  'x-forwarded-proto': undefined,
  'x-forwarded-host': undefined,
  'x-forwarded-port': undefined,
  forwarded: undefined
}
const extended = {
  'x-forwarded-for': '203.0.113.1, 127.0.0.1',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'public.example',
  'x-forwarded-port': '444',
  forwarded: 'for=203.0.113.1, for=127.0.0.1'
}
const trust: Array<[string, Record<string, string | undefined>]> = [
  ['false', nothing], ['true', extended], ['127.0.0.0/8, ::1', extended], ['10.0.0.0/8', nothing]
]
for (const [trustProxy, expected] of trust) {
  t.test(`forwarding headers from 127.0.0.1 with TRUST_PROXY=${trustProxy}`, async t => {
    const workload = await startWorkload(t)
    const { port } = await startProxy(t, { workloadBaseUrl: workload.url, trustProxy })
    await rawExchange(t, port, request(forwardingHeaders))
    for (const [name, value] of Object.entries(expected)) t.equal(workload.received[0]?.headers[name], value, name)
  })
}

/** Headers by which a workload would take the client for somebody else, as they are spelled in the field. */
const family = [
  'Forwarded', 'X-Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-Port',
  'X-Forwarded-Prefix', 'X-Forwarded-User',
  'X-Forwarded-Email', 'X-Forwarded-Client-Cert', 'X-Forwarded-Server', 'X-Forwarded-Anything', 'X-Real-IP',
  'X-Client-IP', 'X-Cluster-Client-IP',
  'True-Client-IP', 'CF-Connecting-IP', 'Fastly-Client-IP', 'X-Envoy-External-Address', 'X-Original-Forwarded-For',
  'X-Original-URL', 'X-Rewrite-URL'
]
const spelled = [
  ...new Set(family.flatMap(name => [name, name.replaceAll('-', '_'), name.replace('-', '_')]))
].map(name => [name, '203.0.113.1'] as const)

t.test('none of the headers that say who is calling reaches the workload from a caller that is not trusted, nor out ' +
  'of decryption', async t => {
  const workload = await startWorkload(t)
  for (const mode of (await startModes(t, workload.url)).slice(1)) {
    workload.received.length = 0
    t.equal((await mode.send({ headers: [...spelled, ['x-kept', '1']] })).status, 200, mode.name)
    t.notMatch(workload.received[0]?.rawHeaders.join('\n'), '203.0.113.1', mode.name)
    t.equal(workload.received[0]?.headers['x-kept'], '1')
  }
})

t.test('of a trusted caller they pass, but for those with underscores, which its own proxy does not write', async t => {
  const workload = await startWorkload(t)
  const [, unencrypted] = await startModes(t, workload.url, { trustProxy: 'true' })
  await unencrypted?.send({ headers: spelled })
  const names = workload.received[0]?.rawHeaders.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase()) ?? []
  for (const name of family) t.ok(names.includes(name.toLowerCase()), name)
  t.same(names.filter(name => name.includes('_')), [])
})

t.test('behind a path prefix, the workload learns of it', async t => {
  const workload = await startWorkload(t)
  for (const [trustProxy, given, expected] of [
    ['false', 'x-forwarded-prefix: /evil', '/proxy'], ['true', 'x-forwarded-prefix: /outer/', '/outer/proxy'],
    ['true', 'x-a: 1', '/proxy']
  ] as const) {
    const { port } = await startProxy(t, { workloadBaseUrl: workload.url, trustProxy, contextRoot: '/proxy' })
    await rawExchange(t, port, request([given]).replace('GET /', 'GET /proxy/x'))
    t.match(workload.received.pop(), { url: '/x', headers: { 'x-forwarded-prefix': expected } })
  }
})

t.test('a trusted caller that says nothing is named itself', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url, trustProxy: 'true' })
  await rawExchange(t, port, request([]))
  t.match(
    workload.received[0]?.headers,
    { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'outer.example' }
  )
  for (const name of ['forwarded', 'x-forwarded-prefix', 'x-forwarded-port']) {
    t.notOk(workload.received[0]?.headers[name])
  }
})
