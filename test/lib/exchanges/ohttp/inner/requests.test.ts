/** What is inside of OHTTP, requests: how they are written, cut into chunks, and read with their bodies. */
import t from 'tap'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { readRequest } from '../../../../../lib/exchanges/ohttp/inner-request.ts'
import { createResponseWriter } from '../../../../../lib/exchanges/ohttp/inner-response.ts'
import { readResponse, requestStream } from '../../../../../sdk/ohttp/bhttp-stream.ts'
import {
  contentChunkPrefix, encodeEnd, encodeRequest, encodeRequestHead
} from '../../../../../lib/protocols/bhttp/writer.ts'
import { concat } from '../../../../../lib/protocols/bytes.ts'
import { collectStream, spoil, streamOf } from '../../../../fixtures/ohttp.ts'
import { oneByOne } from '../../../../fixtures/vectors.ts'
import { HEAD, OK, read, receive, sealed, start } from '../../../../fixtures/ohttp/inner.ts'

for (const contentLength of [undefined, 450_000]) {
  t.test(`a request of ${contentLength ??
    'unknown'} length and a response stream through client and gateway`, async t => {
    const client = await start()
    const sent = Array.from({ length: 10 }, (_, i) => new Uint8Array(10_000 * i).fill(i))
    const source = streamOf(sent).pipeThrough(requestStream(HEAD, contentLength)).pipeThrough(client.sealStream())
    const { opened, head, body, bodyLength } = await receive(source)
    t.strictSame([head, bodyLength], [HEAD, contentLength])
    t.ok((await read(body)).equals(Buffer.concat(sent)))

    const writer = createResponseWriter(opened.createResponseSealer(), OK, { contentLength })
    const encapsulated = [writer.head(), ...sent.map(bytes => writer.content(bytes)), writer.end()]
    const response = await readResponse(streamOf(encapsulated).pipeThrough(client.openStream()))
    t.strictSame(response.head, OK)
    t.ok((await collectStream(response.body)).equals(Buffer.concat(sent)))
  })
}

t.test('content of another length than announced is not sent as if it were all', async t => {
  for (const [announced, length] of [[10, 9], [10, 11], [0, 1], [10, 0]] as const) {
    const stream = streamOf(length === 0 ? [] : [new Uint8Array(length)]).pipeThrough(requestStream(HEAD, announced))
    await t.rejects(collectStream(stream), { name: 'ContentLengthError' }, `${length} for ${announced}`)
  }
  t.ok((await collectStream(streamOf([]).pipeThrough(requestStream(HEAD, 0)))).length > 0)
})

t.test('a request that is there at once has a Buffer, or no body', async t => {
  const content = Buffer.from('some content')
  t.strictSame(await readRequest([encodeRequest(HEAD)]), { head: HEAD, body: undefined, bodyLength: 0 })
  t.strictSame((await readRequest([encodeRequest(HEAD, { content })])).body, content)
  const whole = await receive([await (await start()).seal(encodeRequest(HEAD, { content }))])
  t.strictSame([whole.head, whole.body, whole.bodyLength], [HEAD, content, content.length])
  for (const split of [
    [encodeRequest(HEAD, { content })], oneByOne(encodeRequestHead(HEAD)),
    [encodeRequestHead(HEAD), concat(encodeEnd())]
  ]) {
    const { head } = await receive(await sealed(split))
    t.strictSame(head, HEAD)
  }
  // Headers of nothing left out: the head is complete only with the end.
  const { head, body, bodyLength } = await receive(await sealed(oneByOne(encodeRequest(HEAD).subarray(0, -1))))
  t.strictSame([head, body, bodyLength], [HEAD, undefined, 0])
  const late = await receive(
    await sealed([encodeRequestHead(HEAD), concat(contentChunkPrefix(12), content, encodeEnd([['t', 'v']]))])
  )
  t.ok((await read(late.body)).equals(content))
})

t.test('a message of known length tells the length of its body before all of it is there', async t => {
  const content = Buffer.alloc(40_000, 'x')
  for (const method of ['POST', 'DELETE']) {
    const known = encodeRequest({ ...HEAD, method }, { content })
    const { body, bodyLength } = await receive(await sealed([known.subarray(0, 20_000), known.subarray(20_000)]))
    t.equal(bodyLength, 40_000)
    t.ok((await read(body)).equals(content))
  }
  const streamed = await receive(await sealed([encodeRequestHead(HEAD), concat(encodeEnd())]))
  t.equal(streamed.bodyLength, undefined, 'the other form does not')
})

t.test('a body that breaks off, or breaks the rules, errors and does not end', async t => {
  const beginning = concat(encodeRequestHead(HEAD), contentChunkPrefix(5), Buffer.from('ab'))
  const unfinished = (await sealed([beginning])).slice(0, -1)
  async function * interrupted () {
    yield * unfinished
    throw new Error('connection reset')
  }
  const cases: [
    string, Iterable<Uint8Array> | AsyncIterable<Uint8Array>, { message: string } | { cause: { code: string } }
  ][] = [
    ['the source fails', interrupted(), { message: 'connection reset' }],
    ['no final chunk', unfinished, { cause: { code: 'ERR_OHTTP_INCOMPLETE' } }],
    ['a chunk is not authentic', [...unfinished, spoil(unfinished.at(-1)!)], { cause: { code: 'ERR_OHTTP_OPEN' } }],
    [
      'the final chunk is not authentic', [...unfinished, concat(Uint8Array.of(0), new Uint8Array(16))],
      { cause: { code: 'ERR_OHTTP_OPEN' } }
    ],
    ['authentic, but cut short', await sealed([beginning]), { cause: { code: 'ERR_BHTTP_TRUNCATED' } }],
    [
      'malformed padding', await sealed([beginning, concat(Buffer.from('cde'), encodeEnd(), Uint8Array.of(1))]),
      { cause: { code: 'ERR_BHTTP_MALFORMED' } }
    ]
  ]
  for (const [name, message, expected] of cases) {
    const { body, source } = await receive(message)
    await t.rejects(read(body), expected, name)
    if (name !== 'the source fails') t.equal(source.errored, null, 'the source can still be answered')
  }
  await t.rejects(receive(await sealed([Uint8Array.of(9)])), { code: 'ERR_BHTTP_MALFORMED' })
  await t.rejects(receive((await sealed([])).slice(0, 1)), { code: 'ERR_OHTTP_INCOMPLETE' })
})

t.test('content that is cut into octets leaves in one piece for each that came', async t => {
  const crumbs = concat(...Array.from({ length: 1000 }, (_, i) => Uint8Array.of(1, i)))
  const { body } = await receive(await sealed([encodeRequestHead(HEAD), crumbs, crumbs, concat(encodeEnd())]))
  if (!(body instanceof Readable)) throw new Error('a stream')
  const lengths: number[] = []
  body.on('data', (piece: Buffer) => lengths.push(piece.length))
  await once(body, 'end')
  t.strictSame(lengths, [1000, 1000])
})

t.test('a request is read only as its body is, and its source stays open', async t => {
  let taken = 0
  async function * endless () {
    yield encodeRequestHead(HEAD)
    for (;;) {
      taken++
      yield concat(contentChunkPrefix(16382), new Uint8Array(16382))
    }
  }
  const { body, source } = await receive(ReadableStream.from(endless()).pipeThrough((await start()).sealStream()))
  if (!(body instanceof Readable)) throw new Error('a stream')
  await once(body, 'readable')
  await sleep(50)
  t.ok(taken <= 30, `${taken} taken`)
  body.destroy()
  await once(body, 'close')
  const before = taken
  await sleep(50)
  t.equal(source.destroyed, false)
  t.ok(taken <= before + 2, `${taken - before} taken afterwards`)
  source.destroy()
})

t.test('a request is read to the same in any pieces, its content in single bytes or at once', async t => {
  const content = Buffer.from(Uint8Array.from({ length: 20_000 }, (_, i) => i * 31 >> 3 & 0xff))
  const crumbs = concat(...[...content].map(byte => Uint8Array.of(1, byte)))
  for (const message of [
    encodeRequest(HEAD), encodeRequest(HEAD, { content }), concat(encodeRequestHead(HEAD), crumbs, encodeEnd())
  ]) {
    for (const size of [1, 7, 8191, 8192, 8193, message.length]) {
      const pieces = Array.from(
        { length: Math.ceil(message.length / size) }, (_, i) => message.subarray(i * size, (i + 1) * size)
      )
      const { head, body, bodyLength } = await readRequest(pieces)
      t.strictSame(head, HEAD)
      const expected = message.length < 100 ? Buffer.alloc(0) : content
      t.equal(bodyLength, expected.length)
      t.ok(
        (body instanceof Readable ? await read(body) : body ?? Buffer.alloc(0)).equals(expected), `pieces of ${size}`
      )
    }
    for (const length of [0, 5, 20]) await t.rejects(readRequest([message.subarray(0, length)]), { name: 'BhttpError' })
  }
})
