// polaris proxy as a program that knows nothing of encryption sees it: what crosses, in both directions, and how.
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { startIndependentGateway } from '../../fixtures/independent-ohttp.ts'
import { startWire } from '../../fixtures/wire.ts'
import { runLocalProxy, send, startChain } from '../../fixtures/local-proxy.ts'

t.setTimeout(300_000)

interface Echo { method: string, url: string, headers: Record<string, string>, body: string }

const echoing = await startChain(t)

/** One request as it is on the wire, and all of the answer. */
async function raw (port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(text, 'latin1')
  let answer = ''
  socket.on('data', piece => { answer += piece.toString('latin1') })
  await once(socket, 'close')
  return answer
}

t.test('what any program sends is encrypted, and reaches the workload as it was sent', async t => {
  const wire = await startWire(echoing.proxy.url)
  t.teardown(() => wire.close())
  const { url } = await runLocalProxy(t, [wire.url, '--policy', echoing.policy])
  const { status, body, headers } = await send(`${url}/v1/chat?user=4711`, {
    method: 'POST', headers: { authorization: 'Bearer top-secret', 'content-type': 'text/plain' }, body: 'the question'
  })
  t.equal(status, 200)
  t.equal(headers['polaris-verified'], 'no', 'simulated evidence proves nothing')
  const echo = JSON.parse(body.toString()) as Echo
  t.match(echo, {
    method: 'POST',
    url: '/v1/chat?user=4711',
    headers: { authorization: 'Bearer top-secret', 'content-type': 'text/plain', 'content-length': '12' }
  })
  t.equal(Buffer.from(echo.body, 'base64').toString(), 'the question')
  const seen = Buffer.concat([wire.sent(), wire.received()]).toString('latin1')
  t.match(seen, /POST \/\.well-known\/ohttp-gateway/)
  t.notMatch(seen, /4711|top-secret|the question/)
})

t.test('methods and targets cross as they are', async t => {
  const targets: [method: string, path: string][] = [
    ['GET', '/'], ['DELETE', '/a%2Fb/../c?x=%20&y=[1]'], ['PURGE', '//double'], ['GET', '/a?q="x"'], ['OPTIONS', '/x'],
    ['PATCH', '/.polarisation']
  ]
  for (const [method, path] of targets) {
    const answer = await raw(
      echoing.local.port,
      `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${echoing.local.port}\r\nConnection: close\r\n\r\n`
    )
    t.match(answer, new RegExp(`"method":"${method}"`), `${method} ${path}`)
    t.ok(answer.includes(`"url":${JSON.stringify(path)}`), `${method} ${path}`)
  }
  const absolute = await raw(
    echoing.local.port,
    `GET http://127.0.0.1:${echoing.local.port}/x HTTP/1.1\r\nHost: ignored.example\r\nConnection: close\r\n\r\n`
  )
  t.match(absolute, /"url":"\/x"/)
})

t.test('headers cross in their order; those of the connection and of this proxy do not', async t => {
  const { port } = echoing.local
  const before = echoing.workload.received.length
  await raw(port, [
    'GET /headers HTTP/1.1', `Host: 127.0.0.1:${port}`, 'X-One: 1', 'Cookie: a=1', 'X-One: 2', 'Accept-Language: de',
    'Keep-Alive: timeout=5',
    'Proxy-Authorization: Basic secret', 'X-Private: no', 'TE: trailers', 'Upgrade: websocket', 'Polaris-Verified: yes',
    'Date: Thu, 01 Jan 1970 00:00:00 GMT',
    'Connection: close, X-Private, Upgrade', 'X-Latin: caf\xe9', '', ''
  ].join('\r\n'))
  const { rawHeaders } = echoing.workload.received[before]!
  const names = rawHeaders.filter((_, index) => index % 2 === 0).map(name => name.toLowerCase())
  t.same(
    names.filter(name => name.startsWith('x-') || name === 'cookie' || name === 'accept-language'),
    ['x-one', 'cookie', 'x-one', 'accept-language', 'x-latin']
  )
  for (const name of [
    'keep-alive', 'proxy-authorization', 'x-private', 'te', 'upgrade', 'polaris-verified', 'accept'
  ]) {
    t.notOk(names.includes(name), name)
  }
  t.equal(rawHeaders[rawHeaders.findIndex(name => name.toLowerCase() === 'x-latin') + 1], 'caf\xe9')
})

t.test('answers cross with their status, several cookies, their length and their time', async t => {
  const { local } = await startChain(t, {
    listener (_request, response) {
      response.writeHead(418, [
        ['Set-Cookie', 'a=1; Path=/; Secure; HttpOnly'], ['Set-Cookie', 'b=2; Expires=Wed, 21 Oct 2065 07:28:00 GMT'],
        ['Content-Length', '5'],
        ['Date', 'Thu, 01 Jan 1970 00:00:00 GMT'], ['Alt-Svc', 'h3=":443"'], ['Polaris-Verified', 'yes'],
        ['Cache-Control', 'private']
      ])
      response.end('short')
    }
  })
  const { status, headers, body } = await send(local.url)
  t.match({ status, body: body.toString() }, { status: 418, body: 'short' })
  t.same(headers['set-cookie'], ['a=1; Path=/; Secure; HttpOnly', 'b=2; Expires=Wed, 21 Oct 2065 07:28:00 GMT'])
  t.match(headers, { date: 'Thu, 01 Jan 1970 00:00:00 GMT', 'cache-control': 'private', 'polaris-verified': 'no' })
  t.notOk('alt-svc' in headers, 'another service would be called without this proxy')
})

t.test('answers without a body are complete without one', async t => {
  const { local } = await startChain(t, {
    listener (request, response) {
      const status = Number(request.url?.slice(1))
      response.writeHead(status, { etag: '"1"', ...status === 200 && { 'content-length': 12 } }).end(
        status === 200 ? 'twelve bytes' : undefined
      )
    }
  })
  for (const [method, status] of [['HEAD', 200], ['GET', 204], ['GET', 304], ['POST', 204]] as const) {
    const answer = await send(`${local.url}/${status}`, { method })
    t.match(answer, { status, headers: { etag: '"1"' } }, `${method} ${status}`)
    t.equal(answer.body.length, 0)
    t.notOk('transfer-encoding' in answer.headers && status !== 200)
  }
})

t.test('a redirect below the proxy leads through this one; others are left alone', async t => {
  const { local, proxy } = await startChain(t, {
    config: { contextRoot: '/ai' },
    listener: (request, response) => {
      response.writeHead(302, { location: decodeURIComponent(request.url?.slice(2) ?? '') }).end()
    }
  })
  const { host } = new URL(proxy.url)
  const cases: [from: string, to: string][] = [
    [`http://${host}/ai/next?x=1#y`, `${local.url}/next?x=1#y`],
    [`http://${host}/ai`, `${local.url}/`],
    [`http://${host}/ai?x`, `${local.url}/?x`],
    [`//${host}/ai/next`, `${local.url}/next`],
    [`http://${host}/aix`, `http://${host}/aix`],
    [`http://${host}/other`, `http://${host}/other`],
    ['https://127.0.0.1/ai/next', `${local.url}/next`],
    ['http://elsewhere.example/ai/next', 'http://elsewhere.example/ai/next'],
    ['/next', '/next'],
    ['next?to=http://x/', 'next?to=http://x/'],
    ['http://[', 'http://[']
  ]
  for (const [from, to] of cases) {
    const { status, headers } = await send(`${local.url}/?${encodeURIComponent(from)}`)
    t.equal(status, 302)
    t.equal(headers.location, to, from)
  }
})

t.test('Expect: 100-continue is answered when the body can go on, and refusals come without it', async t => {
  const { port } = echoing.local
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('latin1')
  socket.write(`PUT /expect HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nExpect: 100-continue\r\nContent-Length: ` +
    '4\r\nConnection: close\r\n\r\n')
  const [first] = await once(socket, 'data') as [string]
  t.equal(first, 'HTTP/1.1 100 Continue\r\n\r\n')
  socket.write('body')
  let rest = ''
  socket.on('data', piece => { rest += piece })
  await once(socket, 'close')
  t.match(rest, /^HTTP\/1\.1 200 OK\r\n/)
  t.match(rest, `"body":"${Buffer.from('body').toString('base64')}"`)

  const refused = await raw(
    port,
    'PUT / HTTP/1.1\r\nHost: other.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n'
  )
  t.match(refused, /^HTTP\/1\.1 421 /)
  const unknown = await raw(
    port,
    `PUT / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nExpect: miracles\r\nContent-Length: 4\r\nConnection: close\r\n\r\n`
  )
  t.match(unknown, /^HTTP\/1\.1 417 /)
})

t.test('an answer with trailers arrives whole, and with its trailers if the client accepts them', async t => {
  const gateway = await startIndependentGateway(
    t, async () => ({ response: new Response('body'), trailers: { 'x-digest': 'abc' } })
  )
  const { url } = await runLocalProxy(t, [gateway, '--insecure'])
  const cases = [[{}, {}], [{ te: 'gzip, trailers' }, { 'x-digest': 'abc' }], [{ te: 'trailersx' }, {}]] as const
  for (const [headers, expected] of cases) {
    const { body, trailers, rawHeaders } = await send(url, { headers })
    t.same([body.toString(), trailers], ['body', expected])
    t.notOk(rawHeaders.includes('x-digest'))
  }
})

t.test('bodies of all sizes, with and without a length, arrive byte for byte', async t => {
  for (const size of [0, 1, 64 * 1024, 64 * 1024 + 1, 1024 * 1024, 1024 * 1024 + 1, 3_000_000]) {
    const body = Buffer.alloc(size, 'polaris')
    for (const headers of [{ 'content-length': size }, { 'transfer-encoding': 'chunked' }]) {
      const answer = await send(echoing.local.url, { method: 'POST', headers, body })
      t.equal(answer.status, 200)
      t.ok(
        Buffer.from((JSON.parse(answer.body.toString()) as Echo).body, 'base64').equals(body),
        `${size} ${Object.keys(headers)[0]}`
      )
    }
  }
})

t.test('connections are kept and used again, also after a refusal with a body', async t => {
  const { port } = echoing.local
  const request = (host: string) => `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\n\r\nbody`
  const answer = await raw(port, request(`127.0.0.1:${port}`) + request('x.example') +
    request(`localhost:${port}`).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
  t.same(answer.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 421', 'HTTP/1.1 200'])
})

t.test('what is not a request of HTTP/1.1 for this proxy is refused', async t => {
  const { port } = echoing.local
  const host = `Host: 127.0.0.1:${port}\r\n`
  const cases: [name: string, text: string, status: number][] = [
    ['HTTP/1.0', `GET / HTTP/1.0\r\n${host}\r\n`, 505],
    ['a tunnel', `CONNECT example.com:443 HTTP/1.1\r\n${host}\r\n`, 501],
    ['a forward proxy', `GET http://example.com/ HTTP/1.1\r\n${host}Connection: close\r\n\r\n`, 421],
    ['no host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['two hosts', `GET / HTTP/1.1\r\n${host}${host}Connection: close\r\n\r\n`, 421],
    ['a path that no URL has', `GET /\xff HTTP/1.1\r\n${host}Connection: close\r\n\r\n`, 400],
    ['two lengths', `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`, 400],
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['too large a head', `GET / HTTP/1.1\r\n${host}x: ${'x'.repeat(70_000)}\r\n\r\n`, 431]
  ]
  for (const [name, text, status] of cases) t.match(await raw(port, text), new RegExp(`^HTTP/1\\.1 ${status} `), name)
})
