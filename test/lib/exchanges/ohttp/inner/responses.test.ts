/** What is inside of OHTTP, responses: how they are written, cut into chunks and padded, and read. */
import t from 'tap'
import { randomBytes } from 'node:crypto'
import { createResponseWriter } from '../../../../../lib/exchanges/ohttp/inner-response.ts'
import { openChunkedRequest } from '../../../../../lib/exchanges/ohttp/request.ts'
import { readResponse } from '../../../../../sdk/ohttp/bhttp-stream.ts'
import {
  contentChunkPrefix, encodeEnd, encodeRequest, encodeResponse, encodeResponseHead
} from '../../../../../lib/protocols/bhttp/writer.ts'
import { concat } from '../../../../../lib/protocols/bytes.ts'
import { Deframer, MAX_CHUNK } from '../../../../../lib/protocols/ohttp/chunks.ts'
import { arriving, collectStream, gatewayWith, streamOf } from '../../../../fixtures/ohttp.ts'
import { oneByOne } from '../../../../fixtures/vectors.ts'
import { HEAD, KEY_PAIR, OK, receive, start } from '../../../../fixtures/ohttp/inner.ts'

t.test('a whole response comes in one chunk, padded if asked for', async t => {
  for (const padTo of [undefined, 512]) {
    const client = await start()
    const { opened, head, body } = await receive([await client.seal(encodeRequest(HEAD))])
    t.strictSame([head, body], [HEAD, undefined])
    const whole = opened.createResponseSealer().final(
      encodeResponse(OK, { content: Buffer.from('content'), ...padTo !== undefined && { padTo } })
    )
    if (padTo !== undefined) t.equal(whole.length, 16 + 1 + padTo + 16)
    const response = await readResponse(streamOf(oneByOne(whole)).pipeThrough(client.openStream()))
    t.strictSame(response.head, OK)
    t.equal((await collectStream(response.body)).toString(), 'content')
  }
})

t.test('the client sees the head, and each piece of content, as soon as it is written', async t => {
  const client = await start()
  const opened = await openChunkedRequest(arriving([await client.seal(encodeRequest(HEAD))]), gatewayWith(1, KEY_PAIR))
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

t.test('content becomes one content chunk each, in as few chunks as it fits into, and nothing is written for ' +
  'nothing', async t => {
  const full = MAX_CHUNK + 16
  for (const [size, ciphertexts] of [
    [1, [1 + 1 + 16]], [MAX_CHUNK - 3, [full - 1]], [MAX_CHUNK - 2, [full]], [MAX_CHUNK - 1, [full, 1 + 16]],
    [MAX_CHUNK, [full, 4 + 16]],
    [50_000, [full, full, full, 4 + 50_000 - 3 * MAX_CHUNK + 16]]
  ] as const) {
    const client = await start()
    const opened = await openChunkedRequest(
      arriving([await client.seal(encodeRequest(HEAD))]), gatewayWith(1, KEY_PAIR)
    )
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

t.test('content of a known length fills chunks: there is nothing between its pieces', async t => {
  const full = MAX_CHUNK + 16
  const client = await start()
  const opened = await openChunkedRequest(arriving([await client.seal(encodeRequest(HEAD))]), gatewayWith(1, KEY_PAIR))
  const content = randomBytes(4 * MAX_CHUNK + 1000)
  const writer = createResponseWriter(opened.createResponseSealer(), OK, { contentLength: content.length })
  const parts = [
    writer.head(), writer.content(content.subarray(0, 4 * MAX_CHUNK)), writer.content(content.subarray(4 * MAX_CHUNK)),
    writer.end()
  ]
  t.strictSame(
    parts.slice(1, 3).map(part => new Deframer().push(part).map(({ ciphertext }) => ciphertext.length)),
    [[full, full, full, full], [1016]]
  )
  const response = await readResponse(streamOf(parts).pipeThrough(client.openStream()))
  t.ok((await collectStream(response.body)).equals(content))
})

t.test('a head that fills chunks of its own goes with the content that follows', async t => {
  const head = { status: 200, headers: [['a', 'x'.repeat(MAX_CHUNK)], ['b', 'y'.repeat(MAX_CHUNK)]] as const }
  const client = await start()
  const opened = await openChunkedRequest(arriving([await client.seal(encodeRequest(HEAD))]), gatewayWith(1, KEY_PAIR))
  const writer = createResponseWriter(opened.createResponseSealer(), head)
  const response = await readResponse(
    streamOf([writer.content(Buffer.from('content')), writer.end()]).pipeThrough(client.openStream())
  )
  t.strictSame(response.head, head)
  t.equal((await collectStream(response.body)).toString(), 'content')
})

t.test('a response is read with its informational ones and trailers, and refused where it breaks off', async t => {
  const early = { status: 103, headers: [['link', '</a>']] as const }
  const message = concat(
    encodeResponseHead(OK, [early]), contentChunkPrefix(2), Buffer.from('ab'), encodeEnd([['t', 'v']])
  )
  for (const split of [[message], oneByOne(message)]) {
    const { informational, head, body, trailers } = await readResponse(streamOf(split))
    t.strictSame([informational, head], [[early], OK])
    t.equal((await collectStream(body)).toString(), 'ab')
    t.strictSame(trailers, [['t', 'v']])
  }
  t.equal((await collectStream(
    (await readResponse(streamOf([encodeResponse({ status: 204, headers: [] }).subarray(0, -1)]))).body
  )).length, 0)
  await t.rejects(readResponse(streamOf([message.subarray(0, 5)])), { code: 'ERR_BHTTP_TRUNCATED' })
  const broken = await readResponse(streamOf([message.subarray(0, -7)]))
  await t.rejects(collectStream(broken.body), { code: 'ERR_BHTTP_TRUNCATED' })
})

t.test('cancelling a response cancels what it is read from', async t => {
  let reason: unknown
  const source = new ReadableStream<Uint8Array>({
    start (controller) { controller.enqueue(encodeResponseHead(OK)) },
    cancel (given) { reason = given }
  })
  const { body } = await readResponse(source)
  await body.cancel('no longer wanted')
  t.equal(reason, 'no longer wanted')
})
