/** Sockets free what they have sent, and nothing before. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { freeOnceSent } from '../../lib/free.ts'
import { createFreeingConnector } from '../../lib/freeing-connector.ts'

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
  const [whole, small, watched] = [new Uint8Array(100_000), new Uint8Array(1000), new Uint8Array(100_000)]
  for (const octets of [whole, small, watched]) freeOnceSent(octets)
  socket.write('text')
  socket.write(theirs)
  socket.write(whole.subarray(1))
  socket.write(small)
  const written = Promise.withResolvers<unknown>()
  socket.write(watched, error => written.resolve(error))
  peer.resume()
  t.notOk(await written.promise)
  t.strictSame([theirs, whole, small, watched].map(octets => octets.length), [100_000, 100_000, 1000, 100_000])
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
