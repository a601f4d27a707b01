/** What has one owner is freed when it was sent, on any connection; nothing is freed before, and nothing else ever. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { createServer as createHttpsServer, request as httpsRequest } from 'node:https'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { Pool } from 'undici'
import { OwnedStream, allocate, createFreeingConnector, free, own } from '../../../lib/streams/owned.ts'
import type { Owned } from '../../../lib/streams/owned.ts'
import { selfSigned } from '../../fixtures/certificate.ts'

const LARGE = 16_384
const MIB = 2 ** 20

/** Node has it, its types have not: https://webassembly.github.io/spec/js-api/#memories. */
declare const WebAssembly: { Memory: new (descriptor: { initial: number }) => { readonly buffer: ArrayBuffer } }

const random = (length: number): Owned => own(Uint8Array.from(randomBytes(length)))

function digestOf (pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('hex')
}

/** The last may still be on its way when the peer has it. */
async function allFreed (pieces: readonly Owned[]): Promise<boolean> {
  for (let i = 0; i < 100 && pieces.some(({ length }) => length > 0); i++) await sleep(20)
  return pieces.every(({ length }) => length === 0)
}

async function listen (t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('bytes that are all of their memory are freed, once', async t => {
  for (const bytes of [own(new Uint8Array(LARGE)), allocate(LARGE)]) {
    const view = bytes.subarray(0, 10)
    free(bytes)
    t.strictSame([bytes.length, view.length], [0, 0])
    free(bytes)
  }
})

t.test('small ones, parts, and what cannot be detached stay', async t => {
  const whole = Buffer.alloc(2 * LARGE, 1)
  const undetachable = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer)
  const shared = new Uint8Array(new SharedArrayBuffer(LARGE))
  for (const bytes of [new Uint8Array(LARGE - 1), whole.subarray(1), whole.subarray(0, LARGE), shared, undetachable]) {
    const { length } = bytes
    free(own(bytes))
    t.equal(bytes.length, length)
  }
  t.equal(whole.length, 2 * LARGE)
})

t.test('a reader that does not pipe keeps the pieces', async t => {
  const pieces = [random(MIB), random(10), random(LARGE)]
  const expected = digestOf(pieces)
  t.equal(digestOf([await buffer(OwnedStream.of(pieces))]), expected)
  t.strictSame(pieces.map(({ length }) => length), [MIB, 10, LARGE])
})

/** Answers with pieces that are freed as they go; the tests look at what is left of them. */
function answering (pieces: readonly Owned[], framed: boolean): RequestListener {
  return (_request, response) => {
    if (framed) response.setHeader('content-length', pieces.reduce((sum, { length }) => sum + length, 0))
    OwnedStream.of(pieces).pipe(response)
  }
}

for (const framed of [true, false]) {
  const framing = framed ? 'its length' : 'chunks'

  t.test(`a response framed by ${framing} leaves unharmed, and is freed`, async t => {
    const pieces = Array.from({ length: 40 }, () => random(65_536))
    const expected = digestOf(pieces)
    const port = await listen(t, createHttpServer(answering(pieces, framed)))
    const response = await fetch(`http://127.0.0.1:${port}`)
    t.equal(digestOf([Buffer.from(await response.arrayBuffer())]), expected)
    t.ok(await allFreed(pieces))
  })

  t.test(`a response framed by ${framing} leaves unharmed over TLS, and is freed`, async t => {
    const pieces = Array.from({ length: 40 }, () => random(65_536))
    const expected = digestOf(pieces)
    const { key, cert } = selfSigned()
    const port = await listen(t, createHttpsServer({ key, cert }, answering(pieces, framed)))
    const request = httpsRequest({ host: '127.0.0.1', port, rejectUnauthorized: false, agent: false }).end()
    const [response] = await once(request, 'response')
    t.equal(digestOf([await buffer(response)]), expected)
    t.ok(await allFreed(pieces))
  })
}

t.test('small pieces leave as chunks of HTTP of their own, byte for byte, beside large ones', async t => {
  const sizes = [1, 15, 16, 255, 256, 4095, LARGE - 1, LARGE, 65_536, 1]
  const responses = [1, 2].map(() => sizes.map(random))
  const copies = responses.map(pieces => pieces.map(piece => Buffer.from(piece)))
  const port = await listen(t, createHttpServer((request, response) => {
    const pieces = responses[Number(request.url?.slice(1))]!.values()
    // One in each turn, as they come from a workload.
    const body = new OwnedStream({
      read () {
        setImmediate(() => {
          const { done, value } = pieces.next()
          if (done === true) body.push(null)
          else body.give(value)
        })
      }
    })
    body.pipe(response)
  }))
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /0 HTTP/1.1\r\nhost: x\r\n\r\nGET /1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  let received = await buffer(socket)
  for (const pieces of copies) {
    const body = [...pieces, Buffer.alloc(0)].flatMap(
      piece => [Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]
    )
    const expected = Buffer.concat(body)
    const start = received.indexOf('\r\n\r\n') + 4
    t.ok(received.subarray(start, start + expected.length).equals(expected))
    received = received.subarray(start + expected.length)
  }
  t.equal(received.length, 0)
})

t.test('a response that others have given a write of their own gets the pieces as they are', async t => {
  const written: Buffer[] = []
  const port = await listen(t, createHttpServer((_request, response) => {
    const write = response.write.bind(response) as (piece: Buffer) => boolean
    response.write = (piece: Buffer) => {
      written.push(Buffer.from(piece))
      return write(piece)
    }
    OwnedStream.of([1, 2, 3].map(random)).pipe(response)
  }))
  const response = await fetch(`http://127.0.0.1:${port}`)
  t.equal(digestOf([Buffer.from(await response.arrayBuffer())]), digestOf(written))
  t.strictSame(written.map(({ length }) => length), [1, 2, 3])
})

t.test('pipelined responses leave one after the other, unharmed', async t => {
  const responses = Array.from({ length: 5 }, () => Array.from({ length: 8 }, () => random(65_536)))
  const expected = responses.map(digestOf)
  let next = 0
  const port = await listen(t, createHttpServer((request, response) => {
    const index = next++
    // The first is the last to begin: the others wait with all they have.
    setTimeout(() => answering(responses[index]!, true)(request, response), index === 0 ? 100 : 0)
  }))
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(4) + 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  let received = await buffer(socket)
  for (const digest of expected) {
    const start = received.indexOf('\r\n\r\n') + 4
    t.equal(digestOf([received.subarray(start, start + 8 * 65_536)]), digest)
    received = received.subarray(start + 8 * 65_536)
  }
  t.equal(received.length, 0)
})

t.test('a slow client that has ended its side gets all of it, and what waits for it is not freed', async t => {
  const pieces = Array.from({ length: 160 }, () => random(65_536))
  const expected = digestOf(pieces)
  const port = await listen(t, Object.assign(createHttpServer(answering(pieces, true)), { httpAllowHalfOpen: true }))
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n').pause()
  await sleep(200)
  t.equal(pieces.at(-1)?.length, 65_536, 'the client reads nothing yet')
  const received = await buffer(socket)
  t.equal(digestOf([received.subarray(received.indexOf('\r\n\r\n') + 4)]), expected)
  t.ok(await allFreed(pieces))
})

t.test('when the connection breaks, what waits is not freed', async t => {
  const pieces = Array.from({ length: 160 }, () => random(65_536))
  const port = await listen(t, createHttpServer(answering(pieces, true)))
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  socket.pause()
  await sleep(100)
  socket.destroy()
  await sleep(50)
  t.equal(pieces.at(-1)?.length, 65_536)
})

t.test('an upload to a pool leaves unharmed, and is freed; the bytes of others are not', async t => {
  const received: string[] = []
  const port = await listen(t, createHttpServer(async (request, response) => {
    received.push(digestOf([await buffer(request)]))
    response.end()
  }))
  const pool = new Pool(`http://127.0.0.1:${port}`, { connect: createFreeingConnector({ timeout: 1000 }) })
  t.teardown(() => pool.close())
  const pieces = Array.from({ length: 40 }, () => random(65_536))
  const theirs = Buffer.from(randomBytes(MIB))
  const expected = [digestOf(pieces), digestOf([theirs])]
  for (const body of [OwnedStream.of(pieces), theirs]) {
    await (await pool.request({ path: '/', method: 'POST', body })).body.dump()
  }
  t.strictSame(received, expected)
  t.ok(await allFreed(pieces))
  t.equal(theirs.length, MIB)
})

t.test('a connection that fails is reported as undici reports it', async t => {
  const server = createServer((socket: Socket) => socket.destroy())
  const port = await listen(t, server)
  await new Promise(resolve => server.close(resolve))
  const { promise, resolve } = Promise.withResolvers<unknown>()
  createFreeingConnector({ timeout: 1000 })(
    { hostname: '127.0.0.1', port: String(port), protocol: 'http:' }, (...[error]) => resolve(error)
  )
  t.match(await promise, { code: 'ECONNREFUSED' })
})
