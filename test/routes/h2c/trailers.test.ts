/** Trailers cross the proxy both ways, in HTTP/1.1 and HTTP/2, but for those that mean something else. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { requestTrailers, responseTrailers } from '../../../lib/trailers/trailers.ts'
import { startH2cWorkload } from '../../fixtures/h2c.ts'
import { http2Client } from '../../fixtures/http2.ts'
import { startModes } from '../../fixtures/modes.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient } from '../../fixtures/raw.ts'
import { servingTls } from '../../fixtures/tls.ts'

interface Workload {
  readonly url: string
  readonly trailers: IncomingHttpHeaders[]
  readonly headers: IncomingHttpHeaders[]
}

/** Keeps the trailers of requests, and answers with some. */
async function startTrailing (t: Test, version: string): Promise<Workload> {
  const [trailers, headers]: [IncomingHttpHeaders[], IncomingHttpHeaders[]] = [[], []]
  const sent = {
    'x-checksum': 'caf\xe9', 'set-cookie': 'a=1', 'content-type': 'text/evil', 'polaris-usage': 'x', 'x-two': '2'
  }
  if (version === 'h2c') {
    const { url } = await startH2cWorkload(t, async (request, response) => {
      await buffer(request)
      trailers.push(request.trailers)
      headers.push(request.headers)
      response.addTrailers(sent)
      response.write('body')
      response.end()
    })
    return { url, trailers, headers }
  }
  const server = createServer(async (request, response) => {
    await buffer(request)
    trailers.push(request.trailers)
    headers.push(request.headers)
    response.write('body')
    response.addTrailers(sent)
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, trailers, headers }
}

async function overHttp2 (session: ClientHttp2Session, te: boolean): Promise<IncomingHttpHeaders | undefined> {
  const stream = session.request(
    { ':method': 'POST', ':path': '/', trailer: 'x-sum', ...te && { te: 'trailers' } },
    { endStream: false, waitForTrailers: true }
  )
  stream.once('wantTrailers', () => stream.sendTrailers(
    { 'x-sum': 'caf\xe9', 'x-forwarded-for': '192.0.2.1', authorization: 'Bearer x', 'polaris-url': 'x' }
  ))
  let trailers: IncomingHttpHeaders | undefined
  stream.once('trailers', (given: IncomingHttpHeaders) => { trailers = given })
  stream.end('content')
  t.equal((await buffer(stream)).toString(), 'body')
  return trailers
}

const plain = (fields: IncomingHttpHeaders = {}) => Object.fromEntries(Object.entries(fields))

const CHUNKED = (more: string) => `POST / HTTP/1.1\r\nhost: x\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n${more}\r\n` +
  '7\r\ncontent\r\n0\r\nX-Sum: caf\xe9\r\nHost: evil\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n'

for (const version of ['h2c', 'http']) {
  t.test(`${version}: trailers of a response reach the client${version === 'h2c' ? ', and those of a request the workload' : ''}`, async t => {
    const workload = await startTrailing(t, version)
    const config: ConfigInput = { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0 }
    const proxy = await startProxy(t, config)
    const session = await http2Client(t, await servingTls(proxy))
    const arriving = version === 'h2c' ? { 'x-sum': 'caf\xe9' } : {}
    t.strictSame(plain(await overHttp2(session, true)), { 'x-checksum': 'caf\xe9', 'x-two': '2' }, 'HTTP/2')
    t.strictSame(plain(workload.trailers.pop()), arriving, 'HTTP/2')
    if (version === 'h2c') t.equal(workload.headers.pop()?.te, 'trailers')
    t.equal(await overHttp2(session, false), undefined, 'HTTP/2, not asked for')

    const client = await rawClient(t, proxy.port)
    client.send(CHUNKED('TE: trailers\r\nConnection: te\r\n'))
    const answer = await client.until(/\r\n0\r\n(?:[^\r]+\r\n)*\r\n/)
    t.match(answer, /\r\n0\r\nx-checksum: caf\xe9\r\nx-two: 2\r\n\r\n$/, 'HTTP/1.1')
    t.strictSame(plain(workload.trailers.at(-1)), arriving, 'HTTP/1.1')
    client.send(CHUNKED(''))
    t.match((await client.until(/\r\n0\r\n\r\n$/)).slice(answer.length), /\r\n0\r\n\r\n$/, 'HTTP/1.1, not asked for')
    client.send('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nte: trailers\r\n\r\n')
    await client.end
    t.strictSame(plain(workload.trailers.at(-1)), {}, 'and not those of the request before')
  })

  t.test(`${version}: sealed responses have none, and what comes inside requests is read and dropped`, async t => {
    const workload = await startTrailing(t, version)
    const [, , ...sealing] = await startModes(t, workload.url)
    for (const mode of sealing) {
      const { body, outer } = await mode.send({ method: 'POST', body: Buffer.from('x') }, [['te', 'trailers']])
      t.equal(body.toString(), 'body', mode.name)
      t.same(outer.trailers, [], mode.name)
      t.strictSame(plain(workload.trailers.pop()), {}, mode.name)
    }
  })
}

t.test('a token count and the workload\'s trailers are sent together', async t => {
  const workload = await startH2cWorkload(t, (_request, response) => {
    response.addTrailers({ 'x-own': '1' })
    response.setHeader('content-type', 'text/event-stream')
    response.end('data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":3,' +
      '"completion_tokens":4,' +
      '"total_tokens":7}}\n\ndata: [DONE]\n\n')
  })
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url, usage: 'on' })
  const client = await rawClient(t, port)
  client.send('GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\n\r\n')
  const text = await client.end
  t.match(text, /\r\n0\r\n(?:[^\r]+\r\n)*x-own: 1\r\n/)
  t.match(text, /\r\n0\r\n(?:[^\r]+\r\n)*polaris-usage: /i)
})

t.test('too many trailers, and pseudo-headers among them, end the request', async t => {
  const workload = await startH2cWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, proxy.port)
  client.send('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n')
  for (let i = 0; i < 20; i++) client.send(`x-${i}: ${'y'.repeat(8000)}\r\n`)
  client.send('\r\n')
  t.notMatch(await client.end, /200 OK/)
  for (const line of [':path: /evil', 'content-length: 9', 'a b: c', 'x: a\x00b']) {
    const other = await rawClient(t, proxy.port)
    other.send(`POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n${line}\r\n\r\n`)
    t.notMatch(await other.end, /200 OK/, line)
  }
  t.same(workload.received, [])
})

t.test('an answer of gRPC whose length was announced, and that breaks off, is never taken for a whole one', async t => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/grpc', 'content-length': 100_000 })
    response.write('part', () => { setTimeout(50).then(() => response.destroy()) })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const { port } = await startProxy(t, { workloadBaseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let received = ''
  socket.on('data', (piece: Buffer) => { received += piece.toString() }).on('error', () => undefined)
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\n\r\n')
  const isClosed = await Promise.race([once(socket, 'close').then(() => true), setTimeout(3000, false)])
  t.equal(isClosed, true, 'the connection ends with it')
  t.match(received, /content-length: 100000\r\n[^]*\r\n\r\npart$/)
})

t.test('trailers that HTTP/2 takes only once, sent twice, end the exchange and nothing else', async t => {
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      response.write('body')
      response.addTrailers([['etag', 'a'], ['etag', 'b']])
      response.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const tls: ConfigInput = { tls: 'attested', tlsPort: 0 }
  const answering = await startProxy(
    t, { ...tls, workloadBaseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  )
  const session = await http2Client(t, await servingTls(answering))
  const stream = session.request({ ':method': 'GET', ':path': '/', te: 'trailers' })
  stream.on('error', () => undefined).resume()
  await new Promise(resolve => { stream.once('close', resolve) })
  t.not(stream.rstCode, 0, 'of a response')

  const workload = await startH2cWorkload(t, (request, response) => {
    request.on('error', () => undefined).resume().once('end', () => response.end())
  })
  const asking = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, asking.port)
  client.send('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n')
  client.send('0\r\netag: a\r\netag: b\r\n\r\n')
  t.match(await client.until(/HTTP\/1\.1 \d+/), /^HTTP\/1\.1 502/, 'of a request')
  for (const { url } of [answering, asking]) {
    t.equal((await fetch(`${url}/polaris-container/health`)).status, 200, 'and the proxy lives on')
  }
})

t.test('what cannot be a trailer is left out, in any case of letters', async t => {
  const none = new Set(['x-own'])
  for (const name of [
    'Host', 'content-length', 'Transfer-Encoding', 'connection', 'te', 'trailer', 'Cookie', 'authorization', 'x-own',
    'X-Forwarded-Host', 'x_real_ip', 'if-match', 'proxy-foo', 'polaris-x', ':path', 'a b', 'expect'
  ]) {
    t.same(requestTrailers([name, '1', 'X-A', 'b'], none), ['x-a', 'b'], name)
  }
  t.same(requestTrailers(['x', 'a\r\nb', 'y', 'a\x00'], none), [])
  t.same(
    responseTrailers({ 'X-A': ['1', '2'], 'set-cookie': ['a=1'], 'access-control-allow-origin': '*', 'x-b': 'a\nb' }),
    [['x-a', '1'], ['x-a', '2']]
  )
})
