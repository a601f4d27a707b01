/** Chunked OHTTP, what goes through: the vector of the draft, every size, and every cut. */
import t from 'tap'
import fc from 'fast-check'
import * as hpke from 'hpke'
import { generateKemKeyPair } from '../../../../../lib/hpke/kem.ts'
import { openChunkedRequest } from '../../../../../lib/exchanges/ohttp/request.ts'
import { concat } from '../../../../../lib/protocols/bytes.ts'
import { startChunkedExchange } from '../../../../../sdk/ohttp/client.ts'
import {
  arriving, collectStream, encryptionKey, fixedEphemeral, gatewayWith, opening, streamOf
} from '../../../../fixtures/ohttp.ts'
import { cut, cuts, hex, sharedVectors, unhex } from '../../../../fixtures/vectors.ts'
import { KEY_PAIR, VECTOR, exchange, openWhole } from '../../../../fixtures/ohttp/chunked.ts'

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
