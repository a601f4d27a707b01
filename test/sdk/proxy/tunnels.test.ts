/** What polaris proxy tunnels over TLS with a proven key: WebSockets, and HTTP/2 of programs that may speak it. */
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { ask, answerOf } from '../../fixtures/http2.ts'
import { runLocalProxy, send } from '../../fixtures/local-proxy.ts'
import { localFor, policyOf, startAttacker, startRoute, startTlsProxy } from '../../fixtures/local-tls.ts'
import { tlsClient } from '../../fixtures/tls.ts'
import {
  closeOf, handshake, hasHead, nextMessage, openSocket, startSocketWorkload, switching, wsUrl
} from '../../fixtures/websockets.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(300_000)
const typeOf = (body: string) => (JSON.parse(body) as { type: string }).type.split(':').at(-1)

/** The status and the problem that a handshake is refused with. */
async function refusal (url: string, options: ConstructorParameters<typeof WebSocket>[2] = {}) {
  const socket = new WebSocket(url, options)
  socket.on('error', () => undefined)
  const [, response] = await once(socket, 'unexpected-response') as [unknown, Socket & { statusCode: number }]
  let body = ''
  for await (const piece of response) body += String(piece)
  return { status: response.statusCode, type: typeOf(body), body }
}

for (const transport of ['ohttp', 'tls']) {
  t.test(`beside --transport ${transport}, a WebSocket passes over TLS, with added headers, whole and both ways`, async t => {
    const workload = await startSocketWorkload(t)
    const { port } = await startTlsProxy(t, workload.url, { contextRoot: '/root', tlsNames: 'localhost' })
    const certificate = (await tlsClient(t, port)).getPeerX509Certificate()?.toString() ?? ''
    const local = await runLocalProxy(t, [
      `https://localhost:${port}/root`, '--policy', policyOf(t), '--transport', transport,
      '--cacert', join(t.testdir({ 'cert.pem': certificate }), 'cert.pem'), '-H', 'authorization: Bearer x'
    ])
    t.equal((await send(`${local.url}/plain`)).body.toString(), 'plain')
    const socket = await openSocket(t, wsUrl(local, '/live?x=1'), { headers: { 'x-own': '1' } })
    t.match(workload.handshakes[0], { url: '/live?x=1', headers: { authorization: 'Bearer x', 'x-own': '1' } })
    for (const text of ['hello', 'x'.repeat(3_000_000)]) {
      socket.send(text)
      t.equal(await nextMessage(socket), text)
    }
    workload.sockets[0]?.close(4001)
    t.equal(await closeOf(socket), 4001)
    await local.said(/tunnel protocol=websocket received=\d{7} sent=\d{7} outcome=complete/)
    t.notMatch(local.stderr(), /live|Bearer/)
  })
}

t.test('who may not use the local proxy opens no WebSocket, and neither does what cannot be tunnelled', async t => {
  const workload = await startSocketWorkload(t)
  const { proxy, port } = await startTlsProxy(t, workload.url)
  const local = await localFor(t, port, ['--allow-origin', 'https://app.example'])
  for (const [options, status, type, path = '/'] of [
    [{ headers: { origin: 'https://evil.example' } }, 403, 'origin-not-allowed'],
    [{ headers: { host: 'evil.example' } }, 421, 'host-not-allowed'],
    [{}, 404, 'not-found', '/.polaris/verdict']
  ] as const) {
    t.match(await refusal(wsUrl(local, path), options), { status, type })
  }
  t.same(workload.handshakes, [])
  await openSocket(t, wsUrl(local), { headers: { origin: 'https://app.example' } })
  const plain = await runLocalProxy(t, [proxy.url, '--policy', policyOf(t)])
  t.match(await refusal(wsUrl(plain)), { status: 501, type: 'no-tls', body: /https URL/ })
  const insecure = await runLocalProxy(t, [proxy.url, '--insecure'])
  t.match(await refusal(wsUrl(insecure)), { status: 501, type: 'no-tls' })
})

t.test('an answer that is not to switch is passed on, and ends the connection', async t => {
  const workload = await startWorkload(t, (_request, response) => {
    response.writeHead(403, { 'content-type': 'application/problem+json' }).end('{"type":"a:no"}')
  })
  const local = await localFor(t, (await startTlsProxy(t, workload.url)).port)
  t.match(await refusal(wsUrl(local)), { status: 403, type: 'no' })
  // As Java's client sends by itself.
  const answer = await send(`${local.url}/`, {
    method: 'POST', body: 'x', headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': '' }
  })
  t.equal(answer.status, 403)
})

/** A workload by hand, which gets its connections once the handshake is answered. */
async function rawWorkload (t: Test, serve: (socket: Socket) => void): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    let received = Buffer.alloc(0)
    const read = (piece: Buffer) => {
      received = Buffer.concat([received, piece])
      if (!hasHead(received)) return
      socket.off('data', read)
      socket.write(switching(received))
      serve(socket)
    }
    socket.on('data', read).on('error', () => socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function rawClient (t: Test, port: number): Promise<Socket> {
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => client.destroy())
  t.teardown(() => client.destroy())
  client.write(handshake().replace('host: x', `host: 127.0.0.1:${port}`))
  let received = ''
  while (!received.includes('\r\n\r\n')) received += String((await once(client, 'data'))[0])
  t.match(received, /^HTTP\/1\.1 101 /)
  return client
}

t.test('neither side is read faster than the other takes', async t => {
  let written = 0
  const workload = await rawWorkload(t, socket => {
    const piece = Buffer.alloc(64 * 1024)
    const write = () => {
      while (written < 64 * 1024 * 1024 && socket.write(piece)) written += piece.length
    }
    socket.on('drain', write)
    write()
  })
  const local = await localFor(t, (await startTlsProxy(t, workload)).port)
  const client = await rawClient(t, local.port)
  client.pause()
  let before = -1
  while (before !== written) {
    before = written
    await setTimeout(500)
  }
  t.ok(written < 32 * 1024 * 1024, `${written} bytes are on the way`)
  for (let taken = 0; taken < 40 * 1024 * 1024;) taken += (await once(client.resume(), 'data') as [Buffer])[0].length
})

t.test('a connection that breaks is broken on the other side, too', async t => {
  const sockets: Socket[] = []
  const local = await localFor(t, (await startTlsProxy(t, await rawWorkload(t, socket => {
    sockets.push(socket.resume().once('end', () => socket.end()))
  }))).port)
  const left = await rawClient(t, local.port)
  while (sockets.length < 1) await setTimeout(10)
  left.resetAndDestroy()
  await once(sockets[0]!, 'close')
  await local.said(/protocol=websocket .*outcome=aborted/)
  const client = await rawClient(t, local.port)
  while (sockets.length < 2) await setTimeout(10)
  sockets[1]!.resetAndDestroy()
  await once(client.resume().once('end', () => client.end()), 'close')
})

t.test('a side that has said all hears the other one out', async t => {
  const heard: string[] = []
  const sockets: Socket[] = []
  const local = await localFor(t, (await startTlsProxy(t, await rawWorkload(t, socket => {
    sockets.push(socket.on('data', piece => heard.push(String(piece))))
  }))).port)
  const all = async (socket: Socket) => {
    const pieces: string[] = []
    for await (const piece of socket) pieces.push(String(piece))
    return pieces.join('')
  }
  const client = await rawClient(t, local.port)
  while (sockets.length < 1) await setTimeout(10)
  const answer = all(client)
  client.end('from the client')
  await once(sockets[0]!, 'end')
  t.same(heard.splice(0).join(''), 'from the client')
  sockets[0]!.write('and still ')
  await setTimeout(200)
  sockets[0]!.end('from the workload')
  t.equal(await answer, 'and still from the workload')

  const listening = await rawClient(t, local.port)
  while (sockets.length < 2) await setTimeout(10)
  sockets[1]!.end('bye')
  t.equal(await all(listening), 'bye')
  listening.write('and still ')
  await setTimeout(200)
  listening.end('from the client')
  await once(sockets[1]!, 'end')
  t.equal(heard.join(''), 'and still from the client')
  await local.said(/protocol=websocket .*outcome=complete/)
})

t.test('HTTP/2 without TLS passes on one connection: requests at once, streams both ways', async t => {
  const workload = await startWorkload(t, (request, response) => {
    if (request.url !== '/echo') {
      request.resume()
      return request.on('end', () => response.end(`${request.method} ${request.url}`))
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    request.on('data', (piece: Buffer) => response.write(piece))
    request.on('end', () => response.end())
  })
  const local = await localFor(t, (await startTlsProxy(t, workload.url)).port)
  const session = await http2Session(t, local.url)
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
    ask(session, { ':path': `/${i}`, ':method': 'POST' }, 'body')))
  t.same(answers.map(({ body }) => body.toString()), Array.from({ length: 20 }, (_, i) => `POST /${i}`))
  const stream = session.request({ ':path': '/echo', ':method': 'POST' })
  const answer = answerOf(stream)
  stream.write('first ')
  await once(stream, 'response')
  stream.end('second')
  t.equal((await answer).body.toString(), 'first second')
  t.equal((await send(`${local.url}/plain`)).body.toString(), 'GET /plain', 'and HTTP/1.1 on the same port')
  session.close()
  await local.said(/tunnel protocol=h2 .*outcome=complete/)
})

async function http2Session (t: Test, url: string): Promise<ClientHttp2Session> {
  const session = connectHttp2(url)
  session.on('error', () => undefined)
  t.teardown(() => session.destroy())
  await once(session, 'connect')
  return session
}

/** Code and reason of the GOAWAY that a session gets. */
async function goaway (t: Test, url: string) {
  const session = await http2Session(t, url)
  const [code, , data] = await once(session, 'goaway') as [number, number, Buffer]
  return { code, reason: data.toString() }
}

t.test('HTTP/2 that cannot pass is told why', async t => {
  const workload = await startWorkload(t)
  const { proxy, port } = await startTlsProxy(t, workload.url)
  const HTTP_1_1_REQUIRED = 13
  const withHeader = await localFor(t, port, ['-H', 'x-token: 1'])
  t.match(await goaway(t, withHeader.url), { code: HTTP_1_1_REQUIRED, reason: /--header cannot be added/ })
  const plain = await runLocalProxy(t, [proxy.url, '--policy', policyOf(t)])
  t.match(await goaway(t, plain.url), { code: 2, reason: /^no-tls: .*https URL/ })
  const route = await startRoute(t, port)
  const attacker = await startAttacker(t, port)
  const local = await localFor(t, route.port)
  route.target = attacker.port
  t.match(await goaway(t, local.url), { reason: /^cannot-verify: The TLS key of .* is sha256\/\// })
  t.notMatch(attacker.seen, /PRI/)
  const second = await startTlsProxy(t, workload.url)
  route.target = second.port
  t.equal((await ask(await http2Session(t, local.url), { ':path': '/' })).status, 200, 'another replica')
})

t.test('connections that have not said what they speak are no burden', async t => {
  const local = await localFor(t, (await startTlsProxy(t, (await startWorkload(t)).url)).port)
  for (const bytes of ['', 'P', 'PRI * HTTP/2.0\r\n']) {
    const client = connect(local.port, '127.0.0.1')
    await once(client, 'connect')
    client.end(bytes)
    await once(client.resume(), 'close')
  }
  // Piece by piece, as slow as a program may be.
  const slow = connect(local.port, '127.0.0.1').setNoDelay(true)
  for (const byte of `PUT / HTTP/1.1\r\nhost: 127.0.0.1:${local.port}\r\nconnection: close\r\n\r\n`) {
    slow.write(byte)
    await setTimeout(1)
  }
  t.match(String((await once(slow, 'data'))[0]), /^HTTP\/1\.1 200/)
  const idle = connect(local.port, '127.0.0.1')
  await once(idle, 'connect')
  local.child.kill('SIGTERM')
  t.equal(await local.exit, 0)
  idle.destroy()
})

t.test('open tunnels do not keep it from stopping', async t => {
  const workload = await startSocketWorkload(t)
  const local = await localFor(t, (await startTlsProxy(t, workload.url)).port)
  const socket = await openSocket(t, wsUrl(local))
  const closed = closeOf(socket)
  local.child.kill('SIGTERM')
  t.equal(await local.exit, 0)
  t.equal(await closed, 1006)
})
