/** Sockets free what they have sent, and nothing before. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { freeOnceSent } from '../../../lib/streams/free.ts'
import { createFreeingConnector, freeSent } from '../../../lib/streams/freeing-sockets.ts'

const MIB = 2 ** 20

async function connected (t: Test): Promise<{ socket: Socket, peer: Socket }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const connect = createFreeingConnector({ timeout: 1000 })
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  connect({ hostname: '127.0.0.1', port: String(port), protocol: 'http:' }, (...[error, socket]) => error === null ? resolve(socket) : reject(error))
  const socket = await promise
  const [peer] = await accepted
  t.teardown(() => {
    socket.destroy()
    peer.destroy()
    server.close()
  })
  return { socket, peer }
}

t.test('what the kernel has is freed, what waits is not', async t => {
  const { socket, peer } = await connected(t)
  const pieces = Array.from({ length: 20 }, () => Uint8Array.from(randomBytes(MIB)))
  const sent = createHash('sha256')
  for (const piece of pieces) {
    sent.update(piece)
    freeOnceSent(piece)
    socket.write(piece)
  }
  await sleep(100)
  t.equal(pieces.at(-1)?.length, MIB, 'the peer reads nothing yet')
  const received = createHash('sha256')
  socket.end()
  for await (const octets of peer) received.update(octets as Buffer)
  t.equal(received.digest('hex'), sent.digest('hex'))
  t.strictSame(pieces.map(piece => piece.length), pieces.map(() => 0))
})

t.test('what somebody may still look at stays', async t => {
  const { socket, peer } = await connected(t)
  const theirs = new Uint8Array(100_000)
  const [whole, small] = [new Uint8Array(100_000), new Uint8Array(1000)]
  for (const octets of [whole, small]) freeOnceSent(octets)
  socket.write('text')
  socket.write(theirs)
  socket.write(whole.subarray(1))
  socket.write(small)
  peer.resume()
  await new Promise<void>(resolve => socket.end(resolve))
  t.strictSame([theirs, whole, small].map(octets => octets.length), [100_000, 100_000, 1000])
})

t.test('whoever waits for a write is told', async t => {
  const { socket, peer } = await connected(t)
  peer.resume()
  const writes = [
    (octets: Uint8Array, done: (error?: Error | null) => void) => socket.write(octets, done),
    (octets: Uint8Array, done: (error?: Error | null) => void) => socket.write(octets, undefined, done)
  ]
  for (const write of writes) {
    const octets = new Uint8Array(100_000)
    freeOnceSent(octets)
    t.notOk(await new Promise(resolve => write(octets, resolve)))
    t.equal(octets.length, 0)
  }
  socket.destroy()
  const octets = new Uint8Array(100_000)
  freeOnceSent(octets)
  t.match(await new Promise(resolve => socket.write(octets, resolve)), { code: 'ERR_STREAM_DESTROYED' })
  t.equal(octets.length, 100_000)
})

t.test('an HTTP response leaves unharmed, framed by chunks or by its length, and is freed', async t => {
  const pieces = Array.from({ length: 40 }, () => Uint8Array.from(randomBytes(2 ** 16)))
  const sent = Buffer.concat(pieces)
  for (const framed of [true, false]) {
    const copies = pieces.map(piece => Uint8Array.from(piece))
    const server = createHttpServer((_request, response) => {
      if (framed) response.setHeader('content-length', sent.length)
      // All at once: most of it waits for the client.
      for (const piece of copies) {
        freeOnceSent(piece)
        response.write(piece)
      }
      response.end()
    }).on('connection', freeSent).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    t.ok(Buffer.from(await response.arrayBuffer()).equals(sent))
    t.strictSame(copies.map(piece => piece.length), pieces.map(() => 0))
  }
})

t.test('nothing is freed where the connection breaks', async t => {
  const { socket, peer } = await connected(t)
  const pieces = Array.from({ length: 20 }, () => new Uint8Array(MIB))
  for (const piece of pieces) {
    freeOnceSent(piece)
    socket.write(piece)
  }
  await sleep(20)
  const closed = new Promise(resolve => socket.once('error', resolve))
  peer.destroy()
  t.ok(await closed)
  await sleep(20)
  t.equal(pieces.at(-1)?.length, MIB)
})

t.test('a connection that fails is told as undici tells it', async t => {
  const connect = createFreeingConnector({ timeout: 1000 })
  const { promise, resolve } = Promise.withResolvers<unknown>()
  connect({ hostname: '127.0.0.1', port: '9', protocol: 'http:' }, (...[error]) => resolve(error))
  t.match(await promise, { code: 'ECONNREFUSED' })
})
