import t from 'tap'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { generateKemKeyPair } from '../../../lib/hpke/kem.ts'
import { createResponseWriter, readRequest, readRequestStream } from '../../../lib/ohttp/exchange.ts'
import { openChunkedRequest } from '../../../lib/ohttp/gateway.ts'
import type { RequestPiece } from '../../../lib/ohttp/gateway.ts'
import { readResponse, requestStream } from '../../../lib/protocols/bhttp-stream.ts'
import { contentChunkPrefix, encodeEnd, encodeRequest, encodeRequestHead, encodeResponse, encodeResponseHead } from '../../../lib/protocols/bhttp-writer.ts'
import { concat } from '../../../lib/protocols/bytes.ts'
import { Deframer, MAX_CHUNK } from '../../../lib/protocols/ohttp-chunks.ts'
import { startChunkedExchange } from '../../../lib/protocols/ohttp-client.ts'
import type { ChunkedExchange } from '../../../lib/protocols/ohttp-client.ts'
import { collectStream, encryptionKey, gatewayWith, streamOf } from '../../fixtures/ohttp.ts'
import { oneByOne } from '../../fixtures/vectors.ts'

const KEY_PAIR = generateKemKeyPair(0x20)
const HEAD = { method: 'POST', scheme: 'https', authority: 'a.example', path: '/p?q', headers: [] }
const OK = { status: 200, headers: [['x', '1']] as const }

async function start (): Promise<ChunkedExchange> {
  return await startChunkedExchange(encryptionKey(1, KEY_PAIR))
}

async function * pieces (messages: readonly Uint8Array[]): AsyncGenerator<RequestPiece, void, void> {
  for (const [i, bytes] of messages.entries()) yield { bytes, final: i === messages.length - 1 }
}

for (const contentLength of [undefined, 450_000]) {
  t.test(`a request of ${contentLength ?? 'unknown'} length and a response stream through client and gateway`, async (t) => {
    const client = await start()
    const sent = Array.from({ length: 10 }, (_, i) => new Uint8Array(10_000 * i).fill(i))
    const source = streamOf(sent).pipeThrough(requestStream(HEAD, contentLength)).pipeThrough(client.sealStream())
    const opened = await openChunkedRequest(source, gatewayWith(1, KEY_PAIR))
    const { head, body, bodyLength } = await readRequestStream(opened.pieces)
    t.strictSame([head, bodyLength], [HEAD, contentLength])
    if (!(body instanceof Readable)) throw new Error('a stream')
    t.ok((await buffer(body)).equals(Buffer.concat(sent)))

    const writer = createResponseWriter(opened.createResponseSealer(), OK, { contentLength })
    const encapsulated = [writer.head(), ...sent.map((bytes) => writer.content(bytes)), writer.end()]
    const response = await readResponse(streamOf(encapsulated).pipeThrough(client.openStream()))
    t.strictSame(response.head, OK)
    t.ok((await collectStream(response.body)).equals(Buffer.concat(sent)))
  })
}

t.test('content of another length than announced is not sent as if it were all', async (t) => {
  for (const [announced, length] of [[10, 9], [10, 11], [0, 1], [10, 0]] as const) {
    const stream = streamOf(length === 0 ? [] : [new Uint8Array(length)]).pipeThrough(requestStream(HEAD, announced))
    await t.rejects(collectStream(stream), RangeError, `${length} for ${announced}`)
  }
  t.ok((await collectStream(streamOf([]).pipeThrough(requestStream(HEAD, 0)))).length > 0)
})

t.test('a whole response comes in one chunk, padded if asked for', async (t) => {
  for (const padTo of [undefined, 512]) {
    const client = await start()
    const opened = await openChunkedRequest(streamOf([await client.seal(encodeRequest(HEAD))]), gatewayWith(1, KEY_PAIR))
    const { head, body } = await readRequestStream(opened.pieces)
    t.strictSame([head, body], [HEAD, undefined])
    const whole = opened.createResponseSealer().final(encodeResponse(OK, { content: Buffer.from('content'), ...padTo !== undefined && { padTo } }))
    if (padTo !== undefined) t.equal(whole.length, 16 + 1 + padTo + 16)
    const response = await readResponse(streamOf(oneByOne(whole)).pipeThrough(client.openStream()))
    t.strictSame(response.head, OK)
    t.equal((await collectStream(response.body)).toString(), 'content')
  }
})

t.test('the client sees the head, and each piece of content, as soon as it is written', async (t) => {
  const client = await start()
  const opened = await openChunkedRequest(streamOf([await client.seal(encodeRequest(HEAD))]), gatewayWith(1, KEY_PAIR))
  const writer = createResponseWriter(opened.createResponseSealer(), OK)
  const wire = new TransformStream<Uint8Array, Uint8Array>()
  const out = wire.writable.getWriter()
  const reading = readResponse(wire.readable.pipeThrough(client.openStream()))
  await out.write(writer.head())
  const { head, body } = await reading
  t.equal(head.status, 200)
  const reader = body.getReader()
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    const read = reader.read()
    await out.write(writer.content(Buffer.from(event)))
    t.equal(Buffer.from((await read).value ?? []).toString(), event)
  }
  const last = reader.read()
  await Promise.all([out.close(), t.rejects(last, { code: 'ERR_OHTTP_INCOMPLETE' }, 'no end was written')])
})

t.test('content becomes one content chunk each, in as few chunks as it fits into, and nothing is written for nothing', async (t) => {
  const full = MAX_CHUNK + 16
  for (const [size, ciphertexts] of [
    [1, [1 + 1 + 16]], [MAX_CHUNK - 3, [full - 1]], [MAX_CHUNK - 2, [full]], [MAX_CHUNK - 1, [full, 1 + 16]], [MAX_CHUNK, [full, 4 + 16]],
    [50_000, [full, full, full, 4 + 50_000 - 3 * MAX_CHUNK + 16]]
  ] as const) {
    const client = await start()
    const opened = await openChunkedRequest(streamOf([await client.seal(encodeRequest(HEAD))]), gatewayWith(1, KEY_PAIR))
    const writer = createResponseWriter(opened.createResponseSealer(), OK)
    const content = randomBytes(size)
    const parts = [writer.head(), writer.content(content), writer.end()]
    t.strictSame(new Deframer().push(parts[1]!).map(({ ciphertext }) => ciphertext.length), ciphertexts)
    t.equal(writer.content(new Uint8Array()).length, 0)
    t.equal(writer.head().length, 0)
    const response = await readResponse(streamOf(parts).pipeThrough(client.openStream()))
    t.ok((await collectStream(response.body)).equals(content))
  }
})

t.test('content of a known length fills chunks: there is nothing between its pieces', async (t) => {
  const full = MAX_CHUNK + 16
  const client = await start()
  const opened = await openChunkedRequest(streamOf([await client.seal(encodeRequest(HEAD))]), gatewayWith(1, KEY_PAIR))
  const content = randomBytes(4 * MAX_CHUNK + 1000)
  const writer = createResponseWriter(opened.createResponseSealer(), OK, { contentLength: content.length })
  const parts = [writer.head(), writer.content(content.subarray(0, 4 * MAX_CHUNK)), writer.content(content.subarray(4 * MAX_CHUNK)), writer.end()]
  t.strictSame(parts.slice(1, 3).map(part => new Deframer().push(part).map(({ ciphertext }) => ciphertext.length)), [[full, full, full, full], [1016]])
  const response = await readResponse(streamOf(parts).pipeThrough(client.openStream()))
  t.ok((await collectStream(response.body)).equals(content))
})

t.test('a head that fills chunks of its own goes with the content that follows', async (t) => {
  const head = { status: 200, headers: [['a', 'x'.repeat(MAX_CHUNK)], ['b', 'y'.repeat(MAX_CHUNK)]] as const }
  const client = await start()
  const opened = await openChunkedRequest(streamOf([await client.seal(encodeRequest(HEAD))]), gatewayWith(1, KEY_PAIR))
  const writer = createResponseWriter(opened.createResponseSealer(), head)
  const response = await readResponse(streamOf([writer.content(Buffer.from('content')), writer.end()]).pipeThrough(client.openStream()))
  t.strictSame(response.head, head)
  t.equal((await collectStream(response.body)).toString(), 'content')
})

t.test('a request that is there at once has a Buffer, or no body', async (t) => {
  const content = Buffer.from('some content')
  t.strictSame(readRequest([encodeRequest(HEAD)]), { head: HEAD, body: undefined, bodyLength: 0 })
  t.strictSame(readRequest([encodeRequest(HEAD, { content })]).body, content)
  for (const split of [[encodeRequest(HEAD, { content })], oneByOne(encodeRequestHead(HEAD)), [encodeRequestHead(HEAD), concat(encodeEnd())]]) {
    const { head } = await readRequestStream(pieces(split))
    t.strictSame(head, HEAD)
  }
  // Headers of nothing left out: the head is complete only with the end.
  const short = encodeRequest(HEAD).subarray(0, -1)
  t.strictSame(await readRequestStream(pieces(oneByOne(short))), { head: HEAD, body: undefined, bodyLength: 0 })
  const late = await readRequestStream(pieces([encodeRequestHead(HEAD), concat(contentChunkPrefix(12), content, encodeEnd([['t', 'v']]))]))
  if (!(late.body instanceof Readable)) throw new Error('a stream')
  t.ok((await buffer(late.body)).equals(content))
})

t.test('a message of known length tells the length of its body before all of it is there', async (t) => {
  const content = Buffer.alloc(40_000, 'x')
  for (const method of ['POST', 'DELETE']) {
    const known = encodeRequest({ ...HEAD, method }, { content })
    const { body, bodyLength } = await readRequestStream(pieces([known.subarray(0, 20_000), known.subarray(20_000)]))
    t.equal(bodyLength, 40_000)
    if (!(body instanceof Readable)) throw new Error('a stream')
    t.ok((await buffer(body)).equals(content))
  }
  const streamed = await readRequestStream(pieces([encodeRequestHead(HEAD), concat(encodeEnd())]))
  t.equal(streamed.bodyLength, undefined, 'the other form does not')
})

t.test('a body that breaks off, or breaks the rules, errors and does not end', async (t) => {
  const start = concat(encodeRequestHead(HEAD), contentChunkPrefix(5), Buffer.from('ab'))
  async function * interrupted (): AsyncGenerator<RequestPiece, void, void> {
    yield { bytes: start, final: false }
    throw new Error('connection reset')
  }
  async function * unfinished (): AsyncGenerator<RequestPiece, void, void> {
    yield { bytes: start, final: false }
  }
  const cases: [string, AsyncGenerator<RequestPiece, void, void>, { message: string } | { code: string }][] = [
    ['the source fails', interrupted(), { message: 'connection reset' }],
    ['no final piece', unfinished(), { code: 'ERR_OHTTP_INCOMPLETE' }],
    ['authentic, but cut short', pieces([start, new Uint8Array()]), { code: 'ERR_BHTTP_TRUNCATED' }],
    ['malformed padding', pieces([start, concat(Buffer.from('cde'), encodeEnd(), Uint8Array.of(1))]), { code: 'ERR_BHTTP_MALFORMED' }]
  ]
  for (const [name, source, expected] of cases) {
    const { body } = await readRequestStream(source)
    if (!(body instanceof Readable)) throw new Error('a stream')
    await t.rejects(buffer(body), expected, name)
  }
  await t.rejects(readRequestStream(pieces([Uint8Array.of(9)])), { code: 'ERR_BHTTP_MALFORMED' })
  await t.rejects(readRequestStream(pieces([])), { code: 'ERR_OHTTP_INCOMPLETE' })
})

t.test('content that is cut into octets leaves in one piece for each that came', async (t) => {
  const crumbs = concat(...Array.from({ length: 1000 }, (_, i) => Uint8Array.of(1, i)))
  const { body } = await readRequestStream(pieces([encodeRequestHead(HEAD), crumbs, crumbs, concat(encodeEnd())]))
  if (!(body instanceof Readable)) throw new Error('a stream')
  const lengths: number[] = []
  for await (const piece of body) if (piece instanceof Uint8Array) lengths.push(piece.length)
  t.strictSame(lengths, [1000, 1000])
})

t.test('pieces are taken only as the body is read', async (t) => {
  let taken = 0
  let returned = false
  async function * endless (): AsyncGenerator<RequestPiece, void, void> {
    try {
      yield { bytes: encodeRequestHead(HEAD), final: false }
      for (;;) {
        taken++
        yield { bytes: concat(contentChunkPrefix(16382), new Uint8Array(16382)), final: false }
      }
    } finally {
      returned = true
    }
  }
  const { body } = await readRequestStream(endless())
  if (!(body instanceof Readable)) throw new Error('a stream')
  const iterator = body[Symbol.asyncIterator]()
  await iterator.next()
  await new Promise((resolve) => { setImmediate(resolve) })
  t.ok(taken <= 10, `${taken} taken`)
  body.destroy()
  await once(body, 'close')
  t.equal(returned, true)
})

t.test('a response is read with its informational ones and trailers, and refused where it breaks off', async (t) => {
  const early = { status: 103, headers: [['link', '</a>']] as const }
  const message = concat(encodeResponseHead(OK, [early]), contentChunkPrefix(2), Buffer.from('ab'), encodeEnd([['t', 'v']]))
  for (const split of [[message], oneByOne(message)]) {
    const { informational, head, body, trailers } = await readResponse(streamOf(split))
    t.strictSame([informational, head], [[early], OK])
    t.equal((await collectStream(body)).toString(), 'ab')
    t.strictSame(trailers, [['t', 'v']])
  }
  t.equal((await collectStream((await readResponse(streamOf([encodeResponse({ status: 204, headers: [] }).subarray(0, -1)]))).body)).length, 0)
  await t.rejects(readResponse(streamOf([message.subarray(0, 5)])), { code: 'ERR_BHTTP_TRUNCATED' })
  const broken = await readResponse(streamOf([message.subarray(0, -7)]))
  await t.rejects(collectStream(broken.body), { code: 'ERR_BHTTP_TRUNCATED' })
})

t.test('cancelling a response cancels what it is read from', async (t) => {
  let reason: unknown
  const source = new ReadableStream<Uint8Array>({
    start (controller) { controller.enqueue(encodeResponseHead(OK)) },
    cancel (given) { reason = given }
  })
  const { body } = await readResponse(source)
  await body.cancel('no longer wanted')
  t.equal(reason, 'no longer wanted')
})
