/** WebSocket through the proxy: messages of every kind, handshakes, headers, and answers that are no switch. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { createAuthority } from '../../fixtures/certificates.ts'
import { freePort } from '../../fixtures/process.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, startRawWorkload, statusOf } from '../../fixtures/raw.ts'
import {
  closeOf, echo, handshake, hasHead, nextMessage, openSocket, startSocketWorkload, switching, wsUrl
} from '../../fixtures/websockets.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.test('messages of every kind and size come back as they went, with and without compression', async t => {
  for (const perMessageDeflate of [false, true]) {
    const workload = await startSocketWorkload(t, echo, { perMessageDeflate })
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
    const socket = await openSocket(t, wsUrl(proxy), { perMessageDeflate })
    t.equal(socket.extensions, perMessageDeflate ? 'permessage-deflate' : '')
    for (const size of [0, 1, 125, 126, 127, 65_535, 65_536, 5_000_000]) {
      const sent = randomBytes(size)
      socket.send(sent)
      const [data, isBinary] = await once(socket, 'message') as [Buffer, boolean]
      t.ok(data.equals(sent) && isBinary, `${size} bytes`)
    }
    socket.send('text: é, 漢, 🙂')
    t.equal(await nextMessage(socket), 'text: é, 漢, 🙂')
    socket.ping('are you there')
    t.equal(String((await once(socket, 'pong'))[0]), 'are you there')
    socket.close(4321, 'enough')
    t.equal(await closeOf(socket), 4321)
  }
})

t.test('the workload has the last word on how it closes', async t => {
  const workload = await startSocketWorkload(t, socket => socket.close(4000, 'bye'))
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const socket = new WebSocket(wsUrl(proxy))
  const [code, reason] = await once(socket, 'close') as [number, Buffer]
  t.equal(code, 4000)
  t.equal(reason.toString(), 'bye')
})

t.test('many at once do not meet', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const answers = await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    const socket = await openSocket(t, wsUrl(proxy))
    const name = createHash('sha256').update(String(i)).digest('hex')
    for (let round = 0; round < 20; round++) {
      socket.send(`${name} ${round}`)
      if (await nextMessage(socket) !== `${name} ${round}`) return false
    }
    return true
  }))
  t.ok(answers.every(Boolean))
})

t.test('the handshake is forwarded by the rules of requests, and so is the answer to it', async t => {
  const workload = await startRawWorkload(t, (socket, received) => {
    if (!hasHead(received)) return
    socket.end(Buffer.from(switching(
      received, 'sec-websocket-protocol: chat', 'keep-alive: timeout=5', 'x-answer: caf\xe9', 'content-length: 0',
      `location: http://127.0.0.1:${workload.port}/base/there`, 'set-cookie: a=1', 'set-cookie: b=2'
    ), 'latin1'))
  })
  const proxy = await startProxy(t, {
    workloadBaseUrl: `${workload.url}/base/`, contextRoot: '/root', trustProxy: 'true', corsOrigin: 'https://a.example'
  })
  const client = await rawClient(t, proxy.port)
  client.send(handshake(
    '/root/chat?a=%zz', 'origin: https://a.example', 'sec-websocket-protocol: chat, other', 'x-own: caf\xe9',
    'cookie: c=3', 'polaris-secure: true', 'keep-alive: 5', 'proxy-authorization: Basic x', 'expect: 100-continue',
    'x-forwarded-for: 192.0.2.1'
  ))
  const answer = await client.end
  const request = workload.received[0]?.toString('latin1') ?? ''
  t.match(request, /^GET \/base\/chat\?a=%zz HTTP\/1\.1\r\n/)
  for (const line of [
    `host: 127.0.0.1:${workload.port}`, 'connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-protocol: chat, other', 'x-own: caf\xe9',
    'cookie: c=3', 'origin: https://a.example', 'x-forwarded-for: 192.0.2.1, 127.0.0.1', 'x-forwarded-prefix: /root'
  ]) t.ok(request.includes(`\r\n${line}\r\n`), line)
  t.notMatch(request, /polaris-|keep-alive|proxy-|expect|content-length|transfer-encoding/i)

  t.match(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
  for (const line of [
    'connection: upgrade', 'upgrade: websocket', 'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    'sec-websocket-protocol: chat', 'x-answer: caf\xe9', 'location: /root/there', 'set-cookie: a=1', 'set-cookie: b=2',
    'access-control-allow-origin: https://a.example'
  ]) t.ok(answer.includes(`\r\n${line}\r\n`), line)
  t.notMatch(answer, /keep-alive|content-length|transfer-encoding|timeout=5/i)
})

t.test('an answer that is no switch is passed on with its body, and ends the connection', async t => {
  let now = ''
  const workload = await startRawWorkload(t, (socket, received) => { if (hasHead(received)) socket.end(now) })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const [answer, status, body] of [
    ['HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic\r\ncontent-length: 4\r\n\r\nwho?', 401, 'who?'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', 200, 'abc'],
    [
      'HTTP/1.1 426 Upgrade Required\r\nsec-websocket-version: 13\r\nconnection: close\r\n\r\nno length',
      426, 'no length'
    ],
    [
      'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n' +
        'HTTP/1.1 302 Found\r\nlocation: /in\r\ncontent-length: 0\r\n\r\n',
      302, ''
    ],
    ['HTTP/1.1 204 No Content\r\n\r\n', 204, ''],
    ['HTTP/1.1 304 Not Modified\r\netag: "x"\r\n\r\n', 304, '']
  ] as const) {
    now = answer
    const client = await rawClient(t, proxy.port)
    client.send(handshake())
    const response = await client.end
    t.equal(statusOf(response), status)
    t.match(response, /\r\nconnection: close\r\n/i)
    t.ok(response.includes(body), `${status}`)
    t.notMatch(response, /\r\nupgrade:/i)
  }
})

t.test('a large answer that is no switch streams, whole', async t => {
  const body = randomBytes(3_000_000)
  const raw = await startRawWorkload(t, (socket, received) => {
    if (!hasHead(received)) return
    socket.write(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${body.length}\r\n\r\n`)
    socket.end(body)
  })
  const proxy = await startProxy(t, { workloadBaseUrl: raw.url })
  const client = await rawClient(t, proxy.port)
  client.send(handshake())
  const response = await client.end
  t.ok(Buffer.from(response.slice(response.indexOf('\r\n\r\n') + 4), 'latin1').equals(body))
})

t.test('a workload with TLS has WebSockets by TLS, and its certificate is verified', async t => {
  const authority = createAuthority()
  const { certPem, keyPem } = authority.issue(['localhost'])
  const server = createTlsServer({ cert: certPem, key: keyPem })
  new WebSocketServer({ server }).on('connection', echo)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const workloadBaseUrl = `https://localhost:${(server.address() as AddressInfo).port}`

  const proxy = await startProxy(t, { workloadBaseUrl, workloadTlsVerify: false })
  const socket = await openSocket(t, wsUrl(proxy))
  socket.send('by TLS')
  t.equal(await nextMessage(socket), 'by TLS')
  socket.close()
  await closeOf(socket)

  const strict = await startProxy(t, { workloadBaseUrl })
  const client = await rawClient(t, strict.port)
  client.send(handshake())
  t.match(await client.end, /^HTTP\/1\.1 502 [^]*upstream-unreachable/)
})

t.test('requests before one for a WebSocket, on its connection, are answered first', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, proxy.port)
  client.send('GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n' + handshake())
  await client.until('101 Switching')
  t.match(client.text(), /^HTTP\/1\.1 200 [^]*HTTP\/1\.1 200 [^]*HTTP\/1\.1 101 /)
})

t.test('with WebSocket turned off, and for other protocols, the request is served as a plain one', async t => {
  const workload = await startWorkload(t)
  for (const [websockets, request] of [
    [0, handshake()],
    [1, handshake().replace('websocket\r', 'h2c\r')],
    [1, handshake().replace('websocket\r', 'websocket, h2c\r')],
    [1, handshake().replace('GET', 'POST')],
    [1, handshake('/', 'content-length: 2') + 'ab']
  ] as const) {
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, websockets })
    const client = await rawClient(t, proxy.port)
    client.send(request)
    await client.until(/\}$/)
    t.equal(statusOf(client.text()), 200)
    t.equal(workload.received.at(-1)?.headers.upgrade, undefined)
  }
})

t.test('a workload that refuses connections, or does not answer in time: 502, 504', async t => {
  const down = await startProxy(t, { workloadBaseUrl: `http://127.0.0.1:${await freePort()}` })
  const silent = await startRawWorkload(t, () => undefined)
  const slow = await startProxy(t, { workloadBaseUrl: silent.url, workloadHeadersTimeout: '1s' })
  for (const [proxy, status, code] of [
    [down, 502, 'upstream-unreachable'], [slow, 504, 'upstream-timeout']
  ] as const) {
    const client = await rawClient(t, proxy.port)
    client.send(handshake())
    const response = await client.end
    t.equal(statusOf(response), status)
    t.match(response, `urn:polaris-secure-proxy:problem:${code}`)
  }
})

t.test('where encryption is demanded, it is refused, with what would help', async t => {
  const workload = await startSocketWorkload(t)
  for (const config of [
    { enableInputEncryption: true }, { enableOutputEncryption: true },
    { enableInputEncryption: true, enableOutputEncryption: true }
  ]) {
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...config })
    const client = await rawClient(t, proxy.port)
    client.send(handshake())
    const response = await client.end
    t.equal(statusOf(response), 400)
    t.match(response, 'urn:polaris-secure-proxy:problem:tls-required')
  }
  t.same(workload.handshakes, [])
})

t.test('the proxy\'s own endpoints have no WebSockets; dot segments do not lead out of the base path', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: `${workload.url}/base` })
  for (const [path, status] of [
    ['/polaris-container/x', 404], ['/x/..;/%70olaris-container/keys', 404], ['/x/..%2f../y', 400]
  ] as const) {
    const client = await rawClient(t, proxy.port)
    client.send(handshake(path))
    t.equal(statusOf(await client.end), status, path)
  }
  t.same(workload.handshakes, [])
})
