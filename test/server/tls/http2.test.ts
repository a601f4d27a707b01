/** HTTP/2 over TLS: everything that HTTP/1.1 carries, and streams both ways at once. */
import { once } from 'node:events'
import { constants } from 'node:http2'
import type { IncomingHttpHeaders } from 'node:http2'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { createPolarisFetch } from '../../../sdk/fetch/index.ts'
import { answerOf, ask, http2Client } from '../../fixtures/http2.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { servingTls, tlsClient, tlsFetch } from '../../fixtures/tls.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

async function setUp (t: Test, config: ConfigInput = {}, listener?: Parameters<typeof startWorkload>[1]) {
  const workload = await startWorkload(t, listener)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0, ...config })
  const port = await servingTls(proxy)
  return { proxy, workload, port, session: await http2Client(t, port) }
}

t.test('it is preferred, and HTTP/1.1 still there', async t => {
  const { port } = await setUp(t)
  t.equal((await tlsClient(t, port, { ALPNProtocols: ['http/1.1', 'h2'] })).alpnProtocol, 'h2')
  t.equal((await tlsClient(t, port, { ALPNProtocols: ['http/1.1'] })).alpnProtocol, 'http/1.1')
})

t.test('the workload gets method, target, headers and body, once each', async t => {
  const { session, workload } = await setUp(t, { enableInputEncryption: true, trustProxy: 'true' })
  const answer = await ask(session, {
    ':method': 'PUT', ':path': '/a%20b/../c?d=%zz', 'x-one': ['1', '2'], cookie: ['a=1', 'b=2'], 'x-bytes': 'caf\xe9'
  }, 'inside')
  t.equal(answer.status, 200)
  const [received] = workload.received
  t.match(received, { method: 'PUT', url: '/a%20b/../c?d=%zz' })
  t.equal(received?.body.toString(), 'inside')
  t.match(received?.headers, {
    cookie: 'a=1; b=2',
    'x-one': '1, 2',
    'x-bytes': 'caf\xe9',
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '127.0.0.1'
  })
  t.notOk(received?.rawHeaders.some(name => name.startsWith(':')))
  for (const method of ['GET', 'DELETE', 'POST', 'OPTIONS', 'QUERY']) {
    t.equal((await ask(session, { ':method': method, ':path': `/${method}` })).status, 200, method)
  }
  t.equal((await ask(session, { ':method': 'GET', ':path': '/with-body' }, 'x')).status, 200)
  t.equal(workload.received.at(-1)?.body.toString(), 'x')
})

t.test('large response headers come back, as over HTTP/1.1', async t => {
  const large = 'x'.repeat(40_000)
  const { session } = await setUp(t, {}, (_request, response) => response.writeHead(200, { 'x-large': large }).end('b'))
  t.match(await ask(session, { ':path': '/' }), { status: 200, headers: { 'x-large': large } })
})

t.test('status, headers, bodies and trailers come back; those of a connection do not', async t => {
  const { session } = await setUp(t, {}, (request, response) => {
    if (request.url === '/204') return response.writeHead(204).end()
    if (request.url === '/304') return response.writeHead(304, { etag: '"x"' }).end()
    response.writeHead(418, {
      'set-cookie': ['a=1', 'b=2'], 'x-bytes': 'caf\xe9', connection: 'x-gone', 'x-gone': '1', 'content-length': '4'
    })
    response.end(Buffer.from('body'))
  })
  const answer = await ask(session, { ':path': '/' })
  t.equal(answer.status, 418)
  t.equal(answer.body.toString(), 'body')
  t.match(answer.headers, { 'set-cookie': ['a=1', 'b=2'], 'x-bytes': 'caf\xe9', 'content-length': '4' })
  for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'x-gone']) t.notOk(name in answer.headers, name)
  const head = await ask(session, { ':method': 'HEAD', ':path': '/' })
  t.match(head, { status: 418, headers: { 'content-length': '4' } })
  t.equal(head.body.length, 0)
  t.equal((await ask(session, { ':path': '/204' })).status, 204)
  t.match(await ask(session, { ':path': '/304' }), { status: 304, headers: { etag: '"x"' } })
})

t.test('streams pass both ways at once, and event streams piece by piece', async t => {
  const { session } = await setUp(t, {}, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    request.on('data', (piece: Buffer) => response.write(`data: ${piece.toString()}\n\n`))
    request.on('end', () => response.end('data: end\n\n'))
  })
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  let text = ''
  stream.on('data', (piece: Buffer) => { text += piece.toString() })
  stream.write('zero')
  const [headers] = await once(stream, 'response') as [IncomingHttpHeaders]
  t.equal(headers[':status'], 200)
  for (const word of ['zero', 'one', 'two', 'three']) {
    if (word !== 'zero') stream.write(word)
    while (!text.includes(word)) await once(stream, 'data')
  }
  stream.end()
  await once(stream, 'close')
  t.match(text, 'data: end')
  t.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR)
})

t.test('large bodies arrive whole, with backpressure', async t => {
  const { session } = await setUp(t, {}, (request, response) => request.pipe(response))
  const body = Buffer.alloc(8 * 2 ** 20, 'polaris')
  const answers = await Promise.all([1, 2, 3].map(() => ask(session, { ':method': 'POST', ':path': '/' }, body)))
  for (const answer of answers) t.ok(answer.body.equals(body))
})

t.test('an exchange that is cut off is reset, and one that the client gives up reaches the workload', async t => {
  const gone: Promise<unknown>[] = []
  const { session } = await setUp(t, {}, (request, response) => {
    if (request.url === '/cut') {
      response.write('part')
      setTimeout(50).then(() => response.destroy())
    } else {
      gone.push(once(response, 'close'))
      response.write('part')
    }
  })
  const cut = session.request({ ':path': '/cut' })
  await t.rejects(answerOf(cut), { code: 'ERR_HTTP2_STREAM_ERROR' })
  t.equal(cut.rstCode, constants.NGHTTP2_INTERNAL_ERROR)
  const given = session.request({ ':path': '/given-up' })
  await once(given, 'response')
  given.close(constants.NGHTTP2_CANCEL)
  await Promise.all(gone)
  t.equal(gone.length, 1)
})

t.test('an answer before the end of the body does not wait for it', async t => {
  const { session } = await setUp(t, { enableV1: false, maxBodyBytes: 0 })
  const stream = session.request({ ':method': 'POST', ':path': '/polaris-container/nothing' }, { endStream: false })
  stream.write('begun')
  const answer = await answerOf(stream)
  t.equal(answer.status, 404)
  while (!stream.closed) await setTimeout(10)
  t.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR)
})

t.test('tunnels are refused, and so is what is no request', async t => {
  const { session } = await setUp(t)
  const tunnel = session.request({ ':method': 'CONNECT', ':authority': 'x:1' }, { endStream: false })
  const [headers] = await once(tunnel, 'response') as [IncomingHttpHeaders]
  t.equal(headers[':status'], 501)
  await t.rejects(ask(session, { ':path': 'no-slash' }), { code: 'ERR_HTTP2_STREAM_ERROR' })
  const two = await ask(session, { ':path': '/', ':authority': 'a', host: 'b' })
  t.equal(two.status, 400)
  t.match(two.body.toString(), 'urn:polaris-secure-proxy:problem:bad-request')
  t.equal(session.remoteSettings.enableConnectProtocol ?? false, false, 'RFC 8441 is not offered')
})

t.test('OHTTP, chunked or not, and v1 work over it', async t => {
  const { proxy, port, session } = await setUp(t, { enableInputEncryption: true, enableOutputEncryption: true })
  const polaris = createPolarisFetch({ baseURL: `https://127.0.0.1:${port}`, fetch: tlsFetch(t, true) })
  for (const body of ['inside', 'x'.repeat(300_000)]) {
    const response = await polaris('/ohttp', { method: 'POST', body })
    t.equal(response.status, 200)
    t.equal(((await response.json()) as { body: string }).body, Buffer.from(body).toString('base64'))
  }
  const client = await v1Client(proxy.url)
  const { headers, body } = await client.request({ target: '/v1', body: 'inside' })
  const sealed = await ask(session, { ':method': 'POST', ':path': '/', ...headers }, body ?? undefined)
  t.equal(sealed.status, 200)
  t.match(JSON.parse((await client.open(sealed.body.toString())).toString()), { url: '/v1' })
})

t.test('a client that falls silent within its body gets 408; the limits of clients count', async t => {
  const { session } = await setUp(t, { clientIdleTimeout: '300ms' })
  const silent = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  silent.write('begun')
  t.equal((await answerOf(silent)).status, 408)
  const limited = await setUp(t, { clientRequestRate: 1, clientBurst: 2 })
  const statuses = []
  for (let i = 0; i < 3; i++) statuses.push((await ask(limited.session, { ':path': '/' })).status)
  t.same(statuses, [200, 200, 429])
})

t.test('a stop tells clients, finishes streams, and waits for no idle connection', async t => {
  let finish: (() => void) | undefined
  const { proxy, port, session } = await setUp(t, {}, (_request, response) => {
    response.write('part')
    finish = () => response.end('rest')
  })
  await http2Client(t, port)
  const stream = session.request({ ':path': '/' })
  await once(stream, 'response')
  const told = once(session, 'goaway')
  const stopped = proxy.close()
  await told
  finish?.()
  t.equal((await buffer(stream)).toString(), 'partrest')
  await stopped
})
