/** Exchanges over TLS that ends here: what counts as encrypted, and that all else is as on the plain port. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { createPolarisFetch } from '../../../sdk/fetch/index.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { servingTls, tlsClient, tlsFetch, tlsRequest } from '../../fixtures/tls.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

async function setUp (t: Test, config: ConfigInput = {}, listener?: Parameters<typeof startWorkload>[1]) {
  const workload = await startWorkload(t, listener)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0, ...config })
  return { proxy, workload, port: await servingTls(proxy) }
}

const typeOf = (body: Buffer) => (JSON.parse(body.toString()) as { type?: string }).type?.split(':').at(-1)

for (const [name, config, plain] of [
  ['nothing', {}, undefined],
  ['input', { enableInputEncryption: true }, 'encryption-required'],
  ['output', { enableOutputEncryption: true }, 'response-key-required'],
  ['both', { enableInputEncryption: true, enableOutputEncryption: true }, 'encryption-required']
] as const satisfies readonly (readonly [string, ConfigInput, string | undefined])[]) {
  t.test(`${name} demanded: requests over attested TLS are as good as encrypted, those without TLS are not`, async t => {
    const { proxy, port, workload } = await setUp(t, config)
    const answer = await tlsRequest(port, '/over-tls?x=1', { method: 'POST', body: 'inside' })
    t.equal(answer.status, 200)
    t.match(workload.received[0], { method: 'POST', url: '/over-tls?x=1' })
    t.equal(workload.received[0]?.body.toString(), 'inside')
    const refused = Buffer.from(await (await fetch(`${proxy.url}/plain`)).arrayBuffer())
    t.equal(typeOf(refused), plain)
  })
}

t.test('OHTTP and v1 work over TLS, too', async t => {
  const { proxy, port, workload } = await setUp(t, { enableInputEncryption: true, enableOutputEncryption: true })
  const polaris = createPolarisFetch({ baseURL: `https://127.0.0.1:${port}`, fetch: tlsFetch(t) })
  const response = await polaris('/ohttp', { method: 'POST', body: 'inside' })
  t.equal(response.status, 200)
  t.match(await response.json(), { url: '/ohttp' })
  const client = await v1Client(proxy.url)
  const { headers, body } = await client.request({ target: '/v1', body: 'inside' })
  const sealed = await tlsRequest(port, '/', { method: 'POST', headers, ...body && { body } })
  t.match(JSON.parse((await client.open(sealed.body.toString())).toString()), { url: '/v1' })
  t.same(workload.received.map(({ url }) => url), ['/ohttp', '/v1'])
})

t.test('the workload is told of TLS where a trusted proxy asks for it, and streams pass both ways', async t => {
  const { port } = await setUp(t, { trustProxy: 'true' }, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', proto: request.headers['x-forwarded-proto'] })
    request.on('data', (piece: Buffer) => response.write(`data: ${piece.toString()}\n\n`))
    request.on('end', () => response.end())
  })
  const socket = await tlsClient(t, port)
  socket.write('POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n')
  let text = ''
  socket.on('data', (piece: Buffer) => { text += piece.toString() })
  while (!text.includes('data: first')) await once(socket, 'data')
  t.match(text, 'proto: https')
  socket.write('6\r\nsecond\r\n0\r\n\r\n')
  while (!text.includes('\r\n0\r\n\r\n')) await once(socket, 'data')
  t.match(text, 'data: second')
})

t.test('what the server answers without a request it answers over TLS, too', async t => {
  const { port } = await setUp(t)
  const HEADERS = 'Host: x\r\n'
  for (const [request, status] of [
    ['NONSENSE\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\n${HEADERS}x: ${'y'.repeat(70_000)}\r\n\r\n`, 431],
    [`CONNECT a:1 HTTP/1.1\r\n${HEADERS}\r\n`, 501],
    [`GET /u HTTP/1.1\r\n${HEADERS}Connection: upgrade, close\r\nUpgrade: x\r\n\r\n`, 200],
    [`POST /c HTTP/1.1\r\n${HEADERS}Connection: close\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n`, 200]
  ] as const) {
    const socket = await tlsClient(t, port)
    socket.on('error', () => undefined)
    let text = ''
    socket.on('data', (piece: Buffer) => { text += piece.toString() })
    socket.write(request)
    await once(socket, 'close')
    t.match(text, new RegExp(`^HTTP/1.1 (?:100 Continue\r\n\r\nHTTP/1.1 )?${status}`), request.slice(0, 20))
  }
})

t.test('a response that is cut off looks so over TLS, also to a client of HTTP/1.0', async t => {
  const { port, proxy } = await setUp(t, {}, (_request, response) => {
    response.write('part')
    setTimeout(50).then(() => response.destroy())
  })
  for (const version of ['1.0', '1.1']) {
    const socket = await tlsClient(t, port)
    socket.on('error', () => undefined)
    let text = ''
    socket.on('data', (piece: Buffer) => { text += piece.toString() })
    socket.write(`GET / HTTP/${version}\r\nHost: x\r\n\r\n`)
    await once(socket, 'close')
    t.match(text, 'part')
    t.notMatch(text, '\r\n0\r\n\r\n')
  }
  t.equal((await fetch(`${proxy.url}/polaris-container/livez`)).status, 200, 'and the proxy lives on')
})

t.test('metrics, limits and the keys of the proxy know of it', async t => {
  const { port, proxy } = await setUp(t, { clientRequestRate: 1, clientBurst: 2 })
  const statuses = []
  for (let i = 0; i < 3; i++) statuses.push((await tlsRequest(port, '/')).status)
  t.same(statuses, [200, 200, 429])
  const { keys } = await (await fetch(`${proxy.url}/polaris-container/keys`)).json() as { keys: { protocol: string }[] }
  t.match(keys.find(({ protocol }) => protocol === 'tls'), {
    algorithm: 'P-256', state: 'active', keyId: /^[\w+/]{43}=$/, publicKey: /^-----BEGIN PUBLIC KEY/
  })
})

t.test('a WebSocket over attested TLS passes where encryption is demanded, and one without TLS does not', async t => {
  const workload = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => {
    for (const client of workload.clients) client.terminate()
    workload.close()
  })
  workload.on('connection', socket => socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`)))
  await once(workload, 'listening')
  const { port: workloadPort } = workload.address() as AddressInfo
  const proxy = await startProxy(t, {
    workloadBaseUrl: `http://127.0.0.1:${workloadPort}`, tls: 'attested', tlsPort: 0, enableInputEncryption: true
  })
  const socket = new WebSocket(`wss://127.0.0.1:${await servingTls(proxy)}/`, { rejectUnauthorized: false })
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  socket.send('inside')
  t.equal(String((await once(socket, 'message'))[0]), 'echo inside')
  const refused = new WebSocket(proxy.url.replace('http', 'ws'))
  refused.on('error', () => undefined)
  const [, response] = await once(refused, 'unexpected-response') as [unknown, { statusCode: number }]
  t.equal(response.statusCode, 400)
})
