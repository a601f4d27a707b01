/** WebSocket between peers that break the rules: what they gain is their own connection, and no memory. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { startServer } from '../../fixtures/process.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, startRawWorkload, statusOf } from '../../fixtures/raw.ts'
import { handshake, hasHead, openSocket, startSocketWorkload, switching, wsUrl } from '../../fixtures/websockets.ts'

const SECRET = 'hunter2'
const accept = (key: string) =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const HEAD = 'HTTP/1.1 101 Switching Protocols\r\n'
const GOOD = accept('dGhlIHNhbXBsZSBub25jZQ==')

t.test('a workload that does not answer the handshake: 502, and nothing of what it said', async t => {
  let now = ''
  const workload = await startRawWorkload(t, (socket, received) => { if (hasHead(received)) socket.end(now) })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const [name, answer] of [
    ['closes', ''],
    ['breaks off within the head', `${HEAD}upgrade: web`],
    ['sends no HTTP', `${SECRET}\r\n\r\n`],
    ['switches to nothing', `${HEAD}x: ${SECRET}\r\n\r\n${SECRET}`],
    ['switches without connection: upgrade', `${HEAD}upgrade: websocket\r\nsec-websocket-accept: ${GOOD}\r\n\r\n`],
    ['switches to h2c', `${HEAD}connection: upgrade\r\nupgrade: h2c\r\nsec-websocket-accept: ${GOOD}\r\n\r\n`],
    [
      'switches to two protocols',
      `${HEAD}connection: upgrade\r\nupgrade: websocket, h2c\r\nsec-websocket-accept: ${GOOD}\r\n\r\n`
    ],
    ['proves nothing', `${HEAD}connection: upgrade\r\nupgrade: websocket\r\n\r\n${SECRET}`],
    [
      'answers another client',
      `${HEAD}connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept('x')}\r\n\r\n${SECRET}`
    ],
    [
      'answers twice',
      `${HEAD}connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${GOOD}\r\n` +
        `sec-websocket-accept: ${GOOD}\r\n\r\n`
    ],
    ['sends a header that is none', `${HEAD}connection: upgrade\r\nupgrade: websocket\r\nx y: ${SECRET}\r\n\r\n`],
    ['has an unknown status', `HTTP/1.1 600 ${SECRET}\r\ncontent-length: 0\r\n\r\n`],
    ['has an unknown transfer coding', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['has much to say before', 'HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n'.repeat(500)],
    ['has a huge head', `${HEAD}${`x: ${'y'.repeat(1000)}\r\n`.repeat(200)}\r\n`]
  ] as const) {
    now = answer
    const client = await rawClient(t, proxy.port)
    client.send(handshake())
    const response = await client.end
    t.equal(statusOf(response), 502, name)
    t.match(response, /urn:polaris-secure-proxy:problem:upstream-(?:invalid|unreachable)/)
    t.notMatch(response + proxy.log.join(''), SECRET)
  }
})

t.test('a workload that goes on with interim responses gets no more time for it', async t => {
  const timers: NodeJS.Timeout[] = []
  const workload = await startRawWorkload(t, (socket, received) => {
    if (hasHead(received)) {
      timers.push(setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50))
    }
  })
  t.teardown(() => timers.forEach(timer => clearInterval(timer)))
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, workloadHeadersTimeout: '1s' })
  const client = await rawClient(t, proxy.port)
  client.send(handshake())
  t.equal(statusOf(await client.end), 504)
})

t.test('handshakes that are none: the workload answers them, or the proxy does, and there is no tunnel', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const [name, request, status] of [
    ['no key', handshake().replace(/sec-websocket-key.*\r\n/, ''), 400],
    ['a bad key', handshake().replace(/(sec-websocket-key: ).*/, '$1x'), 400],
    ['another version', handshake().replace('version: 13', 'version: 7'), 400],
    ['a key for one hop', handshake().replace('connection: Upgrade', 'connection: upgrade, sec-websocket-key'), 400],
    ['two hosts', handshake('/', 'host: y'), 400],
    ['a huge head', handshake('/', `x: ${'y'.repeat(70_000)}`), 431],
    ['a control character', handshake('/', 'x: \x01'), 400]
  ] as const) {
    const client = await rawClient(t, proxy.port)
    // What follows is no request, whatever it looks like.
    client.send(`${request}GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n`)
    const response = await client.end
    t.equal(statusOf(response), status, name)
    t.equal(response.match(/HTTP\/1\.1 /g)?.length, 1, name)
  }
  t.same(workload.handshakes, [])
})

t.test('a key that is not one: the answer to it is no answer', async t => {
  const workload = await startRawWorkload(t, (socket, received) => {
    if (hasHead(received)) socket.write(switching(received))
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const request of [
    handshake().replace(/sec-websocket-key.*\r\n/, ''), handshake('/', 'sec-websocket-key: eHh4eHh4eHh4eHh4eHh4eA==')
  ]) {
    const client = await rawClient(t, proxy.port)
    client.send(request)
    t.equal(statusOf(await client.end), 502)
  }
})

t.test('garbage behind the switch passes as it is, and a stop is not held up by it', async t => {
  const garbage = Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * 197 + 13) & 255))
  const workload = await startRawWorkload(t, (socket, received) => {
    if (!hasHead(received) || socket.bytesWritten > 0) return
    socket.write(Buffer.concat([Buffer.from(switching(received)), garbage]))
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, stopTimeout: '1s' })
  const client = await rawClient(t, proxy.port)
  client.send(handshake())
  client.send(garbage)
  while (client.text().length < 10_000 || (workload.received[0]?.length ?? 0) < 10_000) await setTimeout(10)
  t.ok(Buffer.from(client.text(), 'latin1').subarray(-10_000).equals(garbage))
  t.ok(workload.received[0]?.subarray(-10_000).equals(garbage))
  await proxy.close()
})

t.test('a flood of connections that break off at every point does no harm', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  for (let i = 0; i < 60; i++) {
    const client = await rawClient(t, proxy.port)
    client.send(handshake() + 'x'.repeat(i))
    await setTimeout(i % 6)
    if (i % 2 === 0) client.socket.resetAndDestroy()
    else client.socket.destroy()
  }
  const socket = await openSocket(t, wsUrl(proxy))
  socket.send('well')
  t.equal(String((await once(socket, 'message'))[0]), 'well')
})

/** Writes as much as the other side takes, up to `limit`; returns how much that is. */
function pump (socket: Socket, limit: number): { readonly sent: number } {
  const piece = Buffer.alloc(65_536)
  const state = { sent: 0 }
  const write = () => {
    while (state.sent < limit) {
      state.sent += piece.length
      if (!socket.write(piece)) return
    }
  }
  socket.on('drain', write)
  write()
  return state
}

t.test('a side that does not read slows the other down, and holds no memory', async t => {
  const LIMIT = 400 * 2 ** 20
  let fromWorkload: { readonly sent: number } | undefined
  const workload = await startRawWorkload(t, (socket, received) => {
    if (!hasHead(received) || fromWorkload !== undefined) return
    socket.pause().write(switching(received))
    fromWorkload = pump(socket, LIMIT)
  })
  const server = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url })
  const client = await rawClient(t, server.port)
  client.send(handshake())
  await client.until('\r\n\r\n')
  client.socket.pause()
  const before = server.rss()
  const fromClient = pump(client.socket, LIMIT)
  let last = -1
  while (last !== fromClient.sent + (fromWorkload?.sent ?? 0)) {
    last = fromClient.sent + (fromWorkload?.sent ?? 0)
    await setTimeout(500)
  }
  t.ok(fromClient.sent < 64 * 2 ** 20, `${fromClient.sent} bytes from the client`)
  t.ok((fromWorkload?.sent ?? 0) < 64 * 2 ** 20, `${fromWorkload?.sent} bytes from the workload`)
  t.ok(server.rss() - before < 64 * 2 ** 20, `${server.rss() - before} bytes more`)
})
