/** One-shot messages of all sizes come through; what breaks off, or is tampered with, is told, inside if it can be. */
import { request as httpRequest } from 'node:http'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { encodeEnd, encodeRequestHead } from '../../../../lib/protocols/bhttp/writer.ts'
import { createResponseReader } from '../../../../lib/protocols/bhttp/reader.ts'
import { encapsulateRequest } from '../../../../sdk/ohttp/client.ts'
import { REQUEST_MEDIA_TYPE } from '../../../../lib/protocols/ohttp/ohttp.ts'
import { decodeVarint, varintLengthFrom } from '../../../../lib/protocols/varint.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../../fixtures/ohttp-client.ts'
import { sendPieces } from '../../../fixtures/ohttp/pieces.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const MIB = 2 ** 20

/** Bytes that are not the same everywhere. */
const pattern = (length: number) => Buffer.from(Uint8Array.from({ length }, (_, i) => i * 31 >> 3 & 0xff))

t.test('messages of all sizes come through, however they are cut', async t => {
  const workload = await startWorkload(t, async (request, response) => {
    const body = await buffer(request)
    response.setHeader('x-length', request.headers['content-length'] ?? 'chunked')
    response.end(body)
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const key = await fetchKey(url)
  for (const suite of key.suites) {
    for (const [length, size] of [
      [0, 1], [1, 1], [1000, 7], [16_384, 1000], [65_535, 65_536], [65_536, 4096], [262_144, 10_000],
      [262_145, 262_144], [3 * MIB, 65_536], [3 * MIB, 100_000]
    ] as const) {
      const content = pattern(length)
      const request = await encapsulate(
        { ...key, suites: [suite] }, requestHead('POST', '/'), content, { chunked: false }
      )
      const inner = await request.open(await sendPieces(url, request, size))
      t.equal(inner.status, 200)
      t.ok(inner.body.equals(content), `${length} octets in pieces of ${size}, AEAD ${suite.aeadId}`)
      t.equal(inner.headers.get('x-length'), String(length), 'the workload is told the length')
    }
  }
})

t.test('a large message that was tampered with cannot be opened, and nothing of it is forwarded', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const request = await encapsulate(await fetchKey(url), requestHead('POST', '/'), pattern(MIB), { chunked: false })
  for (const at of [50, 500_000, MIB, request.message.length - 16, request.message.length - 1]) {
    const message = Uint8Array.from(request.message)
    message[at] = message[at] as number ^ 1
    t.equal((await sendPieces(url, { ...request, message }, 65_536)).status, 400, `octet ${at}`)
  }
  for (const length of [request.message.length - 1, MIB, 100_000]) {
    t.equal(
      (await sendPieces(url, { ...request, message: request.message.subarray(0, length) }, 65_536)).status, 400,
      `${length} octets`
    )
  }
  t.equal(workload.received.length, 0)
})

t.test('a workload that dies within a response is told inside, where nothing was sent yet', async t => {
  for (const headers of [{}, { 'content-length': '100000' }]) {
    const workload = await startWorkload(t, (request, response) => {
      request.resume()
      response.writeHead(200, headers).write('beginning')
      setTimeout(() => response.destroy(), 20)
    })
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const request = await encapsulate(await fetchKey(url), requestHead('GET', '/'), undefined, { chunked: false })
    const inner = await request.open(await send(url, request))
    t.equal(inner.status, 502)
    t.match(JSON.parse(inner.body.toString()), { type: 'urn:polaris-secure-proxy:problem:upstream-unreachable' })
  }
})

t.test('a response that breaks off is a failure of the workload, reported inside, and one that nobody waits for is ' +
  'read no further', async t => {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const workload = await startWorkload(t, (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-length': MIB }).write(Buffer.alloc(MIB / 2))
    if (request.url === '/break') setTimeout(() => response.destroy(), 20)
    else response.once('close', () => resolve())
  })
  const { url, log } = await startProxy(t, { workloadBaseUrl: workload.url })
  const key = await fetchKey(url)
  const request = await encapsulate(key, requestHead('GET', '/break'), undefined, { chunked: false })
  const broken = await request.open(await send(url, request))
  t.equal(broken.status, 502)
  t.match(JSON.parse(broken.body.toString()), { type: 'urn:polaris-secure-proxy:problem:upstream-unreachable' })
  t.notOk(
    log.some(line => line.includes('"level":50') || line.includes('"type":"object"')), 'it is no error of the proxy'
  )
  const { contentType, message } = await encapsulate(key, requestHead('GET', '/wait'), undefined, { chunked: false })
  const abandoned = httpRequest(url, { method: 'POST', headers: { 'content-type': contentType } }).end(message)
  abandoned.on('error', error => t.comment(error.message))
  setTimeout(() => abandoned.destroy(), 100)
  await closed
})

t.test('content that a client cuts octet by octet inside comes through in pieces worth having', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const config = await fetchKey(url)
  const [suite] = config.suites
  if (suite === undefined) throw new Error('no suite')
  const head = encodeRequestHead(requestHead('POST', '/'))
  const crumbs = Buffer.alloc(2 * 300_000, Buffer.from([1, 0x61]))
  const { message, open } = await encapsulateRequest({ config, suite }, Buffer.concat([head, crumbs, encodeEnd()]))
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': REQUEST_MEDIA_TYPE }, body: message })
  const reader = createResponseReader()
  const [event] = reader.push(await open(new Uint8Array(await response.arrayBuffer())))
  t.match(event, { type: 'response', head: { status: 200 } })
  t.ok(workload.received[0]?.body.equals(Buffer.alloc(300_000, 'a')))
})

for (const chunked of [false, true]) {
  t.test(`responses are padded to multiples of the size, ${chunked ? 'chunked' : 'one-shot'}`, async t => {
    const workload = await startWorkload(t, (request, response) => {
      request.resume()
      const body = Buffer.alloc(Number(request.url?.slice(1)))
      // With and without a length, at once and in two pieces.
      if (body.length % 2 === 0) response.setHeader('content-length', body.length)
      response.sendDate = false
      response.write(body.subarray(0, body.length >> 1))
      setTimeout(() => response.end(body.subarray(body.length >> 1)), body.length % 3)
    })
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url, responsePadding: '4096' })
    const key = await fetchKey(url)
    const lengths = new Set<number>()
    for (const size of [0, 1, 2, 100, 1001, 4000, 4040, 4050, 4095, 4096, 4097, 20_000, 100_001, 300_000, 300_001]) {
      const request = await encapsulate(key, requestHead('GET', `/${size}`), undefined, { chunked })
      const octets = Buffer.from(await (await send(url, request)).arrayBuffer())
      const plaintext = chunked ? octets.length - 16 - chunkOverhead(octets.subarray(16)) : octets.length - 16 - 16
      t.equal(plaintext % 4096, 0, `${size}: ${plaintext}`)
      t.ok(plaintext >= size && plaintext < size + 2 * 4096)
      if (size <= 1001) lengths.add(plaintext)
      const inner = await request.open(new Response(
        octets, { headers: { 'content-type': chunked ? 'message/ohttp-chunked-res' : 'message/ohttp-res' } }
      ))
      t.equal(inner.body.length, size)
    }
    t.equal(lengths.size, 1, 'small responses have one length')
    t.equal((await (async () => {
      const down = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9', responsePadding: '4096' })
      const request = await encapsulate(await fetchKey(down.url), requestHead('GET', '/'), undefined, { chunked })
      const octets = Buffer.from(await (await send(down.url, request)).arrayBuffer())
      return chunked ? octets.length - 16 - chunkOverhead(octets.subarray(16)) : octets.length - 32
    })()), 4096, 'and so do errors')
  })
}

t.test('the chunks of a padded response tell no more than its padded length, however the workload writes ' +
  'it', async t => {
  const workload = await startWorkload(t, async (request, response) => {
    const [, size, pieces] = request.url?.split('/').map(Number) ?? []
    const body = Buffer.alloc(size ?? 0, 'x')
    response.sendDate = false
    response.writeHead(200, { 'content-length': body.length }).flushHeaders()
    for (let i = 0; i < Number(pieces); i++) {
      // Each is there by itself before the next is written.
      await new Promise(resolve => setTimeout(resolve, 5))
      response.write(
        body.subarray(Math.floor(i * body.length / Number(pieces)), Math.floor((i + 1) * body.length / Number(pieces)))
      )
    }
    response.end()
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, responsePadding: '30000' })
  const key = await fetchKey(url)
  for (const sizes of [[1, 100, 1000, 20_000, 29_000], [40_000, 59_000]]) {
    const seen = new Set<string>()
    for (const size of sizes) {
      for (const pieces of [1, 3]) {
        const request = await encapsulate(key, requestHead('GET', `/${size}/${pieces}`))
        const octets = Buffer.from(await (await send(url, request)).arrayBuffer())
        seen.add(chunkLengths(octets.subarray(16)).join())
        const inner = await request.open(
          new Response(octets, { headers: { 'content-type': 'message/ohttp-chunked-res' } })
        )
        t.ok(inner.body.equals(Buffer.alloc(size, 'x')))
      }
    }
    t.equal(seen.size, 1, [...seen].join(' or '))
  }
})

/** Octets of the framing and tags of a chunked message behind its nonce. */
function chunkOverhead (body: Buffer): number {
  return body.length - chunkLengths(body).reduce((sum, length) => sum + length, 0)
}

/** Octets of plaintext in each chunk behind the nonce, as whoever sees the ciphertext can tell. */
function chunkLengths (body: Buffer): number[] {
  const lengths: number[] = []
  for (let at = 0; at < body.length;) {
    const prefix = varintLengthFrom(body[at] as number)
    const length = decodeVarint(body.subarray(at, at + prefix))
    at += prefix
    const end = length === 0 ? body.length : at + length
    lengths.push(end - at - 16)
    at = end
  }
  return lengths
}
