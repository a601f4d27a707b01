/** How WebSockets begin, wait and end: the gate, limits, silence, half-closes, broken peers, and a stop. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Attester } from '../../../lib/attestation/attester.ts'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { RemoteError } from '../../../lib/remote/error.ts'
import { adminOf } from '../../fixtures/metrics.ts'
import { startServer } from '../../fixtures/process.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, startRawWorkload, statusOf } from '../../fixtures/raw.ts'
import type { RawClient } from '../../fixtures/raw.ts'
import {
  closeOf, handshake, hasHead, nextMessage, openSocket, startSocketWorkload, switching, wsUrl
} from '../../fixtures/websockets.ts'

/** However long the machine takes. */
async function until (condition: () => boolean | Promise<boolean>) {
  while (!await condition()) await setTimeout(10)
}

const genuine = await simulated()

t.test('without evidence there are no WebSockets; when the gate closes, they end or go on, as it says', async t => {
  for (const attestationOnClose of ['finish', 'end'] as const) {
    let isAway = true
    const attester: Attester = {
      type: 'simulated',
      async evidence (request) {
        if (isAway) throw new RemoteError('transient', 'Away', { providerCode: 'AWAY', advice: 'Wait' })
        return { ...await genuine.evidence(request), expiresAt: new Date(Date.now() + 500) }
      }
    }
    const workload = await startSocketWorkload(t)
    const proxy = await startProxy(
      t,
      { workloadBaseUrl: workload.url, attestationRequired: true, attestationGrace: 0, attestationOnClose },
      { attester }
    )
    const refused = await rawClient(t, proxy.port)
    refused.send(handshake())
    t.match(await refused.end, /^HTTP\/1\.1 503 [^]*not-attested/)
    t.same(workload.handshakes, [])

    isAway = false
    const ready = async () => (await fetch(`${proxy.url}/polaris-container/readyz`)).status === 200
    await until(ready)
    const socket = await openSocket(t, wsUrl(proxy))
    const closed = closeOf(socket)
    isAway = true
    await until(async () => !await ready())
    if (attestationOnClose === 'end') t.equal(await closed, 1006)
    else {
      socket.send('still here')
      t.equal(await nextMessage(socket), 'still here')
    }
  }
})

t.test('a WebSocket counts for the limits of its client while it is open', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, clientConcurrency: 1 })
  const socket = await openSocket(t, wsUrl(proxy))
  const second = await rawClient(t, proxy.port)
  second.send(handshake())
  t.match(await second.end, /^HTTP\/1\.1 429 [^]*too-many-requests/)
  socket.close()
  await closeOf(socket)
  await until(async () => (await fetch(proxy.url)).status === 200)
  t.equal(workload.handshakes.length, 1)
})

t.test('there are so many WebSockets at once and no more, and one client has half of them', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, websockets: 4, workloadConnectTimeout: '1s', trustProxy: 'true' }
  )
  const from = (address: string) => openSocket(t, wsUrl(proxy), { headers: { 'x-forwarded-for': address } })
  const first = await from('192.0.2.1')
  await from('192.0.2.1')
  const refusal = async (address: string) => {
    const client = await rawClient(t, proxy.port)
    client.send(handshake('/', `x-forwarded-for: ${address}`))
    return client.end
  }
  t.match(await refusal('192.0.2.1'), /^HTTP\/1\.1 503 [^]*overloaded/)
  await from('192.0.2.2')
  await from('192.0.2.3')
  t.match(await refusal('192.0.2.4'), /^HTTP\/1\.1 503 [^]*overloaded/)
  t.equal((await fetch(proxy.url)).status, 200, 'requests are not affected')
  first.close()
  await closeOf(first)
  await from('192.0.2.1')
})

t.test('a WebSocket on which nothing passes is closed with 1001, by a peer that takes no notice without', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, websocketIdleTimeout: '1s' })
  const socket = await openSocket(t, wsUrl(proxy))
  for (let i = 0; i < 4; i++) {
    await setTimeout(400)
    socket.ping()
    await once(socket, 'pong')
  }
  t.equal(await closeOf(socket), 1001)
  t.match(proxy.log.join(''), 'WebSocket is idle; closing it')

  const silent = await startRawWorkload(t, (socket, received) => {
    if (hasHead(received)) socket.write(switching(received))
  })
  const deaf = await startProxy(t, { workloadBaseUrl: silent.url, websocketIdleTimeout: '1s' })
  const client = await rawClient(t, deaf.port)
  client.send(handshake())
  await client.until('\r\n\r\n')
  t.ok((await client.end).endsWith('\x88\x02\x03\xe9'))
})

t.test('each side may end before the other', async t => {
  const workload = createServer({ allowHalfOpen: true }, socket => {
    let received = ''
    socket.on('data', piece => {
      received += piece.toString()
      if (received.endsWith('\r\n\r\n')) socket.write(switching(Buffer.from(received)))
      if (received.endsWith('you first')) socket.end('my end')
    })
    socket.on('end', () => socket.writable && socket.end(`after your ${received.slice(received.indexOf('\r\n\r\n') + 4)}`))
  }).listen(0, '127.0.0.1')
  await once(workload, 'listening')
  t.teardown(() => { workload.close() })
  const proxy = await startProxy(
    t, { workloadBaseUrl: `http://127.0.0.1:${(workload.address() as AddressInfo).port}` }
  )
  const first = await rawClient(t, proxy.port, { allowHalfOpen: true })
  first.send(handshake())
  await first.until('\r\n\r\n')
  first.socket.end('last words')
  t.ok((await first.end).endsWith('after your last words'))

  const second = await rawClient(t, proxy.port, { allowHalfOpen: true })
  second.send(handshake())
  await second.until('\r\n\r\n')
  second.send('you first')
  await once(second.socket, 'end')
  t.ok(second.text().endsWith('my end'))
  second.send(', and now me')
  second.socket.end()
  await second.end
  t.equal(second.socket.errored, null)
})

t.test('bytes ahead of the switch, from either side, arrive behind it', async t => {
  const workload = await startRawWorkload(t, (socket, received) => {
    if (!hasHead(received)) return
    if (received.toString().endsWith('\r\n\r\n')) socket.write(`${switching(received)}early from the workload`)
    if (received.toString().endsWith('early from the client, and later')) socket.end()
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, proxy.port)
  client.send(`${handshake()}early from the client`)
  await client.until('early from the workload')
  client.send(', and later')
  await client.end
  t.match(workload.received[0]?.toString(), /\r\n\r\nearly from the client, and later$/)
})

t.test('a client that leaves before the workload has switched ends the request to it', async t => {
  for (const leave of [
    ({ socket }: RawClient) => socket.end(), ({ socket }: RawClient) => socket.resetAndDestroy()
  ]) {
    let isOver = false
    const workload = await startRawWorkload(t, socket => socket.once('close', () => { isOver = true }))
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
    const client = await rawClient(t, proxy.port)
    client.send(handshake())
    await until(() => workload.received.some(hasHead))
    leave(client)
    await until(() => isOver)
    t.pass('gone')
  }
})

t.test('a side that breaks ends the other, with what it sent before', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const left = await openSocket(t, wsUrl(proxy))
  left.send('hello')
  await nextMessage(left)
  const [served] = workload.sockets
  left.terminate()
  await once(served!, 'close')

  const right = await openSocket(t, wsUrl(proxy))
  const [message, code] = await Promise.all([
    nextMessage(right), closeOf(right),
    workload.sockets[1]!.send('last words', () => workload.sockets[1]!.terminate())
  ])
  t.equal(message, 'last words')
  t.equal(code, 1006)
  t.equal((await fetch(proxy.url)).status, 200)
})

t.test('it is counted, and logged, as one exchange in plaintext, when it ends', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, accessLog: true, adminAddress: '127.0.0.1:0' }
  )
  const admin = adminOf(proxy.log)
  const count = () => admin.value('polaris_requests_total', { protocol: 'plain', status: '1xx' })
  const socket = await openSocket(t, wsUrl(proxy))
  t.equal(await admin.value('polaris_requests_in_flight'), 1)
  t.equal(await count(), undefined)
  socket.send(Buffer.alloc(100_000))
  await once(socket, 'message')
  socket.close()
  await closeOf(socket)
  await until(async () => await count() === 1)
  t.ok(await admin.value('polaris_received_bytes_total', { protocol: 'plain' }) as number > 100_000)
  t.ok(await admin.value('polaris_sent_bytes_total', { protocol: 'plain' }) as number > 100_000)
  const { exchange } = JSON.parse(proxy.log.find(line => line.includes('"exchange"')) ?? '{}') as { exchange: object }
  t.match(exchange, { protocol: 'plain', status: '1xx', received: Number, sent: Number })
})

t.test('a stop asks clients to come again elsewhere, between two frames, and then does not wait for ever', async t => {
  const workload = await startSocketWorkload(t)
  const server = await startServer(t, {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url, POLARIS_CONTAINER_STOP_TIMEOUT: '2s'
  })
  const polite = await openSocket(t, wsUrl(server))
  // In the middle of a frame that never ends, and of one that does.
  const stuck = await openSocket(t, wsUrl(server, '/stuck'))
  const slow = await openSocket(t, wsUrl(server, '/slow'))
  const [, stuckHere, slowHere] = workload.sockets as unknown as [never, SocketOf, SocketOf]
  stuckHere._socket.write(Buffer.from([0x82, 10, 1, 2, 3]))
  slowHere._socket.write(Buffer.from([0x82, 3, 1]))
  const slowMessage = once(slow, 'message')
  await setTimeout(200)
  const codes = Promise.all([polite, stuck, slow].map(closeOf))
  server.child.kill('SIGTERM')
  t.equal(await closeOf(polite), 1012)
  slowHere._socket.write(Buffer.from([2, 3, 0x82, 1, 9]))
  t.same([...(await slowMessage)[0] as Buffer], [1, 2, 3])
  t.same(await codes, [1012, 1006, 1012])
  t.equal(await server.exit, 0)
  t.match(server.lines.join('\n'), /"websockets":1.*cutting off WebSockets/)
})

/** What `ws` writes to. */
interface SocketOf {
  readonly _socket: { write (bytes: Buffer): void }
}

t.test('workers have them, too', async t => {
  const workload = await startSocketWorkload(t)
  const server = await startServer(t, {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url, POLARIS_CONTAINER_WORKERS: '2'
  })
  const sockets = await Promise.all(Array.from({ length: 6 }, () => openSocket(t, wsUrl(server))))
  for (const [i, socket] of sockets.entries()) {
    socket.send(`from ${i}`)
    t.equal(await nextMessage(socket), `from ${i}`)
  }
  const codes = Promise.all(sockets.map(closeOf))
  server.child.kill('SIGTERM')
  t.same(new Set(await codes), new Set([1012]))
  t.equal(await server.exit, 0)
})

t.test('the system endpoints answer a request that would upgrade', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' })
  const client = await rawClient(t, proxy.port)
  client.send(handshake('/polaris-container/livez'))
  t.equal(statusOf(await client.end), 200)
})
