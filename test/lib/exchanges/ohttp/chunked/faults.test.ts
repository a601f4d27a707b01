/** Chunked OHTTP, whatever can be wrong with a message or a chunk: all of it is refused. */
import t from 'tap'
import { Readable } from 'node:stream'
import { openChunkedRequest } from '../../../../../lib/exchanges/ohttp/request.ts'
import { concat } from '../../../../../lib/protocols/bytes.ts'
import { startChunkedExchange } from '../../../../../sdk/ohttp/client.ts'
import { Deframer } from '../../../../../lib/protocols/ohttp/chunks.ts'
import { encodeVarint } from '../../../../../lib/protocols/varint.ts'
import { collectStream, encryptionKey, gatewayWith, openArriving, streamOf } from '../../../../fixtures/ohttp.ts'
import { oneByOne } from '../../../../fixtures/vectors.ts'
import { KEY_PAIR, exchange, openWhole } from '../../../../fixtures/ohttp/chunked.ts'

t.test('truncation at every offset is detected, in both directions', async t => {
  const { client, message, opened } = await exchange()
  for (let length = 0; length < message.length; length++) {
    for (const pieces of [[message.subarray(0, length)], oneByOne(message.subarray(0, length))]) {
      await t.rejects(openWhole(pieces), { name: 'OhttpError', code: /ERR_OHTTP_(OPEN|INCOMPLETE)/ }, `${length}`)
    }
  }
  const sealer = opened.createResponseSealer()
  const response = concat(sealer.seal(Buffer.from('first')), sealer.seal(Buffer.from('second')), sealer.final())
  for (let length = 0; length < response.length; length++) {
    await t.rejects(
      collectStream(streamOf([response.subarray(0, length)]).pipeThrough(client.openStream())), { name: 'OhttpError' },
      `${length}`
    )
  }
})

t.test('an interrupted response gives what came, then ERR_OHTTP_INCOMPLETE', async t => {
  const { client, opened } = await exchange()
  const sealer = opened.createResponseSealer()
  const reader = streamOf([sealer.seal(Buffer.from('an event'))]).pipeThrough(client.openStream()).getReader()
  t.equal(Buffer.from((await reader.read()).value ?? []).toString(), 'an event')
  await t.rejects(reader.read(), { code: 'ERR_OHTTP_INCOMPLETE' })
})

t.test('every flipped bit is refused, in both directions', async t => {
  const { client, message, opened } = await exchange()
  const sealer = opened.createResponseSealer()
  const response = concat(sealer.seal(Buffer.from('first')), sealer.final(Buffer.from('last')))
  const flips = function * (bytes: Uint8Array): Generator<[Uint8Array, string]> {
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = Uint8Array.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      yield [flipped, `bit ${bit}`]
    }
  }
  for (const [flipped, name] of flips(message)) await t.rejects(openWhole([flipped]), { name: 'OhttpError' }, name)
  for (const [flipped, name] of flips(response)) {
    await t.rejects(collectStream(streamOf([flipped]).pipeThrough(client.openStream())), { name: 'OhttpError' }, name)
  }
})

t.test('chunks that are swapped, repeated, left out, or declared final, are refused', async t => {
  const client = await startChunkedExchange(encryptionKey(1, KEY_PAIR))
  const parts: Uint8Array[] = []
  for await (const part of streamOf(
    ['a', 'b', 'c'].map(text => Buffer.from(text))
  ).pipeThrough(client.sealStream())) {
    parts.push(part)
  }
  const [start, a, b, c, final] = parts
  if (!start || !a || !b || !c || !final) throw new Error('five parts')
  t.equal((await openWhole(parts)).toString(), 'abc')
  const cases: [string, Uint8Array[]][] = [
    ['swapped', [start, b, a, c, final]],
    ['repeated', [start, a, a, b, c, final]],
    ['left out', [start, a, c, final]],
    ['a chunk as the final one', [start, a, b, concat(Uint8Array.of(0), c.subarray(1))]],
    ['the final one as a chunk', [start, a, b, c, concat(encodeVarint(16), final.subarray(1))]],
    ['octets after the final chunk', [...parts, Uint8Array.of(0)]],
    ['the final chunk twice', [...parts, final]]
  ]
  for (const [name, message] of cases) await t.rejects(openWhole(message), { code: 'ERR_OHTTP_OPEN' }, name)
})

t.test('chunks that are too large, or empty without being final, are refused at once', async t => {
  const cases: [string, Uint8Array][] = [
    ['no room for a tag', encodeVarint(15)],
    ['empty', encodeVarint(16)],
    ['too large', encodeVarint(16384 + 16 + 1)],
    ['far too large', new Uint8Array(8).fill(0xff)],
    ['final and too large', concat(encodeVarint(0), new Uint8Array(16384 + 16 + 1))]
  ]
  for (const [name, bytes] of cases) t.throws(() => new Deframer().push(bytes), { code: 'ERR_OHTTP_OPEN' }, name)
  const largest = concat(encodeVarint(16384 + 16), new Uint8Array(16384 + 16))
  t.equal(new Deframer().push(largest).length, 1)
  t.throws(() => new Deframer().end(), { code: 'ERR_OHTTP_INCOMPLETE' })
})

t.test('a context is used once, and a response ends once', async t => {
  const { client, opened } = await exchange()
  await t.rejects(client.seal(Buffer.from('again')), TypeError)
  t.throws(() => client.sealStream(), TypeError)
  const sealer = opened.createResponseSealer()
  sealer.final()
  t.throws(() => sealer.seal(Buffer.from('more')), TypeError)
  t.throws(() => sealer.final(), TypeError)
})

t.test('an error of the source is passed on, and a refusal leaves the source open for the answer', async t => {
  const { message } = await exchange()
  async function * broken () {
    yield message.subarray(0, 50)
    throw new Error('connection reset')
  }
  await t.rejects(openArriving(Readable.from(broken()), gatewayWith(1, KEY_PAIR)), { message: 'connection reset' })

  const forged = Uint8Array.from(message)
  forged.set([(message.at(-1) ?? 0) ^ 1], message.length - 1)
  for (const [body, keyId, code] of [[message, 2, 'ERR_OHTTP_KEY'], [forged, 1, 'ERR_OHTTP_OPEN']] as const) {
    const source = Readable.from([body])
    await t.rejects(openArriving(source, gatewayWith(keyId, KEY_PAIR)), { code })
    t.equal(source.errored, null)
  }
  const source = Readable.from([message, message])
  await t.rejects(openChunkedRequest(source, gatewayWith(2, KEY_PAIR)), { code: 'ERR_OHTTP_KEY' })
  t.equal(source.destroyed, false)
})
