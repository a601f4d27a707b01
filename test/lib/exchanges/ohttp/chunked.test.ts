/** Chunked OHTTP: the vector of the draft, every size, every cut, and whatever can be wrong with a chunk. */
import t from 'tap'
import fc from 'fast-check'
import { Readable } from 'node:stream'
import * as hpke from 'hpke'
import { generateKemKeyPair, importKemKeyPair } from '../../../../lib/hpke/kem.ts'
import { openChunkedRequest, openChunks } from '../../../../lib/exchanges/ohttp/request.ts'
import { concat } from '../../../../lib/protocols/bytes.ts'
import { startChunkedExchange } from '../../../../sdk/ohttp/client.ts'
import { Deframer } from '../../../../lib/protocols/ohttp/chunks.ts'
import { OhttpError } from '../../../../lib/protocols/ohttp/ohttp.ts'
import { encodeVarint } from '../../../../lib/protocols/varint.ts'
import {
  arriving, collectStream, encryptionKey, fixedEphemeral, gatewayWith, openArriving, opening, streamOf
} from '../../../fixtures/ohttp.ts'
import { cut, cuts, hex, oneByOne, sharedVectors, unhex } from '../../../fixtures/vectors.ts'

/** draft-ietf-ohai-chunked-ohttp-08, appendix A. */
const VECTOR = {
  skR: '1c190d72acdbe4dbc69e680503bb781a932c70a12c8f3754434c67d8640d8698',
  skE: 'b26d565f3f875ed480d1abced3d665159650c99174fd0b124ac4bda0c64ae324',
  request_chunks: ['00034745540568747470730b', '6578616d706c652e636f6d012f', ''],
  encapsulated_request: [
    '01002000010001',
    '8811eb457e100811c40a0aa71340a1b81d804bb986f736f2f566a7199761a032',
    '1c2ad24942d4d692563012f2980c8fef437a336b9b2fc938ef77a5834f',
    '1d2e33d8fd25577afe31bd1c79d094f76b6250ae6549b473ecd950501311',
    '001c6c1395d0ef7c1022297966307b8a7f'
  ],
  response_nonce: 'bcce7f4cb921309ba5d62edf1769ef09',
  response_chunks: ['01', '40c8', ''],
  encapsulated_response: [
    'bcce7f4cb921309ba5d62edf1769ef09',
    '1179bf1cc87fa0e2c02de4546945aa3d1e48',
    '12b348b5bd4c594c16b6170b07b475845d1f32',
    '00ed9d8a796617a5b27265f4d73247f639'
  ]
}
const KEY_PAIR = importKemKeyPair(0x20, unhex(VECTOR.skR))

async function exchange (aeadId = 1, keyPair = KEY_PAIR) {
  const client = await startChunkedExchange(encryptionKey(1, keyPair, aeadId))
  const message = await client.seal(Buffer.from('request'))
  const opened = await openChunkedRequest(arriving([message]), gatewayWith(1, keyPair))
  return { client, message, opened }
}

/** As it arrives, and as one that is there already: both give the same, or both refuse. */
async function openWhole (message: readonly Uint8Array[]): Promise<Buffer> {
  const gateway = gatewayWith(1, KEY_PAIR)
  const whole = openChunks(concat(...message), gateway)
  // Of the two refusals, the one thrown here is that of the first; the other's reason may differ.
  const refused = whole.then(() => undefined, (error: unknown) => error)
  const streamed = await openArriving(arriving(message), gateway).catch(async (error: unknown) => {
    if (!(await refused instanceof OhttpError)) {
      throw new Error('opened as a whole, but not as it arrived', { cause: await refused })
    }
    throw error
  })
  if (!Buffer.concat((await whole).pieces).equals(streamed)) throw new Error('opened to something else')
  return streamed
}

t.test('the example of the draft is made and opened by both sides', async t => {
  const client = await startChunkedExchange(encryptionKey(1, KEY_PAIR), fixedEphemeral(unhex(VECTOR.skE)))
  const request = streamOf(VECTOR.request_chunks.map(unhex)).pipeThrough(client.sealStream())
  t.equal(hex(await collectStream(request)), VECTOR.encapsulated_request.join(''))

  const source = arriving(VECTOR.encapsulated_request.map(unhex))
  const opened = await openChunkedRequest(source, gatewayWith(1, KEY_PAIR))
  const chunks: string[] = []
  for await (const bytes of opening(source, opened)) chunks.push(hex(bytes))
  t.strictSame(
    chunks, ['', ...VECTOR.request_chunks.slice(0, 2), '', VECTOR.request_chunks[2]],
    'nothing came with the key; the final chunk waits for the end'
  )

  const sealer = opened.createResponseSealer(unhex(VECTOR.response_nonce))
  const [first, second] = VECTOR.response_chunks.map(unhex)
  if (first === undefined || second === undefined) throw new Error('two chunks')
  const response = concat(sealer.seal(first), sealer.seal(second), sealer.final())
  t.equal(hex(response), VECTOR.encapsulated_response.join(''))
  t.equal(
    hex(await collectStream(streamOf([response]).pipeThrough(client.openStream()))), VECTOR.response_chunks.join('')
  )
})

t.test('the vector kept next to the project is the one printed here', async t => {
  const vector = sharedVectors('chunked-ohttp-08.json')
  if (typeof vector === 'string') return t.pass(`skipped: ${vector}`)
  t.match(vector, VECTOR)
})

for (const kemId of [0x20, 0x647a]) {
  for (const aeadId of [1, 2, 3]) {
    t.test(`requests and responses of every size go through with KEM ${kemId} and AEAD ${aeadId}`, async t => {
      const keyPair = generateKemKeyPair(kemId)
      for (const size of [0, 1, 16383, 16384, 16385, 32768, 100_000]) {
        const content = new Uint8Array(size).map((_, i) => i * 7)
        const whole = await startChunkedExchange(encryptionKey(5, keyPair, aeadId))
        const message = await whole.seal(content)
        const streamed = await startChunkedExchange(encryptionKey(5, keyPair, aeadId))
        const stream = streamOf([content]).pipeThrough(streamed.sealStream())
        for (const [client, source] of [[whole, arriving([message])], [streamed, arriving(stream)]] as const) {
          const opened = await openChunkedRequest(source, gatewayWith(5, keyPair))
          t.ok(Buffer.concat(await Array.fromAsync(opening(source, opened))).equals(content))
          const sealer = opened.createResponseSealer()
          const response = client === whole ? [sealer.final(content)] : [sealer.seal(content), sealer.final()]
          t.ok((await collectStream(streamOf(response).pipeThrough(client.openStream()))).equals(content))
        }
      }
    })
  }
}

t.test('a client put together from hpke alone is understood, long varints included', async t => {
  const suite = new hpke.CipherSuite(
    hpke.KEM_DHKEM_X25519_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_ChaCha20Poly1305
  )
  const header = Uint8Array.of(1, 0, 0x20, 0, 1, 0, 3)
  const info = Buffer.concat([Buffer.from('message/bhttp chunked request'), Uint8Array.of(0), header])
  const { encapsulatedSecret, ctx } = await suite.SetupSender(
    await suite.DeserializePublicKey(KEY_PAIR.publicKey), { info }
  )
  const message = [
    header, encapsulatedSecret,
    Uint8Array.of(0x40, 16 + 5), await ctx.Seal(Buffer.from('hello')),
    Uint8Array.of(0xc0, 0, 0, 0, 0, 0, 0, 16 + 1), await ctx.Seal(Buffer.from(' ')),
    Uint8Array.of(0x80, 0, 0, 0), await ctx.Seal(Buffer.from('world'), Buffer.from('final'))
  ]
  t.equal((await openWhole(message)).toString(), 'hello world')
})

t.test('others have their turn while chunks of one octet are opened', async t => {
  const client = await startChunkedExchange(encryptionKey(1, KEY_PAIR))
  const content = Buffer.alloc(1000, 'x')
  const message = concat(
    await collectStream(streamOf([...content].map(octet => Uint8Array.of(octet))).pipeThrough(client.sealStream()))
  )
  for (const opening of [
    async () => Buffer.concat((await openChunks(message, gatewayWith(1, KEY_PAIR))).pieces),
    async () => await openArriving(arriving([message]), gatewayWith(1, KEY_PAIR))
  ]) {
    let turns = 0
    let done = false
    const count = () => {
      turns++
      if (!done) setImmediate(count)
    }
    setImmediate(count)
    t.ok((await opening()).equals(content))
    done = true
    t.ok(turns >= 1000 / 64 - 1, `${turns} turns`)
  }
})

t.test('no two responses have the same nonce', async t => {
  const { opened } = await exchange()
  const nonces = new Set<string>()
  for (let i = 0; i < 1000; i++) nonces.add(hex(opened.createResponseSealer().final().subarray(0, 16)))
  t.equal(nonces.size, 1000)
})

t.test('any split over network reads gives the same result, in both directions', async () => {
  const content = Buffer.from('0123456789abcdef'.repeat(2000))
  const client = await startChunkedExchange(encryptionKey(1, KEY_PAIR))
  const message = await client.seal(content)
  const opened = await openChunkedRequest(arriving([message]), gatewayWith(1, KEY_PAIR))
  const sealer = opened.createResponseSealer()
  const response = concat(
    sealer.seal(content), sealer.seal(content.subarray(0, 9)), sealer.final(content.subarray(0, 3))
  )
  const answer = Buffer.concat([content, content.subarray(0, 9), content.subarray(0, 3)])
  await fc.assert(fc.asyncProperty(cuts, async offsets =>
    (await openWhole(cut(message, offsets))).equals(content) &&
    (await collectStream(streamOf(cut(response, offsets)).pipeThrough(client.openStream()))).equals(answer)
  ), { numRuns: 30 })
})

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

t.test('octet by octet, a long message is found in linear time', async t => {
  // Quadratic, these half a million pushes would take minutes.
  const chunk = concat(encodeVarint(16400), new Uint8Array(16400))
  const deframer = new Deframer()
  let found = 0
  for (let i = 0; i < 32; i++) {
    for (let offset = 0; offset < chunk.length; offset++) {
      found += deframer.push(chunk.subarray(offset, offset + 1)).length
      deframer.settle()
    }
  }
  t.equal(found, 32)
})

t.test('a request is opened piece by piece, while the client still sends, and not further than it is read', async t => {
  const client = await startChunkedExchange(encryptionKey(1, KEY_PAIR))
  let pulled = 0
  const endless = new ReadableStream<Uint8Array>({
    pull (controller) { controller.enqueue(Buffer.from(`piece ${pulled++}`)) }
  }, { highWaterMark: 0 })
  const source = arriving(endless.pipeThrough(client.sealStream()))
  const plaintexts = opening(source, await openChunkedRequest(source, gatewayWith(1, KEY_PAIR)))
  t.equal((await plaintexts.next()).value?.length, 0, 'nothing came with the key')
  for (let i = 0; i < 5; i++) t.equal(String(Buffer.from((await plaintexts.next()).value ?? [])), `piece ${i}`)
  t.ok(pulled < 12, `${pulled} pieces taken for 5 read`)
})

t.test('a large piece is sealed no further than it is read, and cancelling cancels the source', async t => {
  const client = await startChunkedExchange(encryptionKey(1, KEY_PAIR))
  const { readable, writable } = client.sealStream()
  const writer = writable.getWriter()
  let written = false
  const writing = writer.write(new Uint8Array(1 << 20)).then(() => { written = true })
  const reader = readable.getReader()
  for (let i = 0; i < 10; i++) await reader.read()
  t.equal(written, true, 'one piece is taken')
  const second = writer.write(new Uint8Array(1)).then(() => 'taken', (reason: unknown) => reason)
  t.equal(await Promise.race([second, new Promise(resolve => { setImmediate(resolve, 'waits') })]), 'waits')
  await reader.cancel('enough')
  t.equal(await second, 'enough')
  await writing
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
