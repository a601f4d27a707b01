/** A one-shot message in pieces is the same message: however it is cut, it opens and seals to the same octets. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { generateKemKeyPair } from '../../../../lib/hpke/kem.ts'
import { readRequest, readRequestPieces } from '../../../../lib/exchanges/ohttp/inner.ts'
import { openArrivingRequest, openRequest } from '../../../../lib/exchanges/ohttp/gateway.ts'
import { encodeEnd, encodeRequest, encodeRequestHead } from '../../../../lib/protocols/bhttp/writer.ts'
import { encapsulateRequest } from '../../../../sdk/ohttp/client.ts'
import { arriving, encryptionKey, gatewayWith } from '../../../fixtures/ohttp.ts'

const HEAD = { method: 'POST', scheme: 'https', authority: 'a.example', path: '/', headers: [['x', 'y']] as const }
const unopened = { name: 'OhttpError', code: 'ERR_OHTTP_OPEN' }

/** The octets, cut at these places. */
function cutAt (octets: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map(place => place % (octets.length + 1)), octets.length].sort((a, b) => a - b)
  return ends.map((end, i) => octets.subarray(i === 0 ? 0 : ends[i - 1], end))
}

for (const aeadId of [1, 2, 3]) {
  t.test(`however it is cut, with AEAD ${aeadId}`, async t => {
    const keyPair = generateKemKeyPair(0x20)
    const decapsulate = gatewayWith(1, keyPair)
    await fc.assert(fc.asyncProperty(fc.nat(3000), fc.array(fc.nat(4000), { maxLength: 12 }), async (size, places) => {
      const request = randomBytes(size)
      const { message, open } = await encapsulateRequest(encryptionKey(1, keyPair, aeadId), request)
      const opened = await openArrivingRequest(arriving(cutAt(message, places)), decapsulate)
      if (!Buffer.concat(opened.pieces).equals(request)) throw new Error('opened to something else')
      const whole = await openRequest(message, decapsulate)
      const response = randomBytes(size)
      const nonce = randomBytes(whole.overhead - 16)
      const pieces: Uint8Array[] = []
      for await (const piece of opened.sealResponsePieces(cutAt(response, places), nonce)) pieces.push(Uint8Array.from(piece))
      const sealed = Buffer.concat(pieces)
      if (sealed.length !== response.length + opened.overhead) throw new Error('another length than announced')
      if (!sealed.equals(whole.sealResponse(response, nonce))) throw new Error('sealed to something else')
      if (!Buffer.from(await open(sealed)).equals(response)) throw new Error('the client opened something else')
    }), { numRuns: 60 })
  })

  t.test(`truncated or changed anywhere it is refused, with AEAD ${aeadId}`, async t => {
    const keyPair = generateKemKeyPair(0x20)
    const { message } = await encapsulateRequest(encryptionKey(1, keyPair, aeadId), randomBytes(40))
    for (let at = 0; at < message.length; at++) {
      await t.rejects(openArrivingRequest(arriving(cutAt(message.subarray(0, at), [9, 60])), gatewayWith(1, keyPair)), unopened, `${at} octets`)
      if (at < 7) continue
      const changed = message.map((octet, i) => i === at ? octet ^ 0x40 : octet)
      await t.rejects(openArrivingRequest(arriving(cutAt(changed, [9, 60])), gatewayWith(1, keyPair)), unopened, `octet ${at}`)
    }
  })
}

t.test('a request in pieces is read as the whole one', async t => {
  const content = randomBytes(2000)
  const crumbs = Buffer.concat([...content].map(octet => Buffer.from([1, octet])))
  for (const message of [encodeRequest(HEAD), encodeRequest(HEAD, { content }), Buffer.concat([encodeRequestHead(HEAD), crumbs, encodeEnd()])]) {
    const whole = readRequest([message])
    for (const places of [[], [1], [10, 20, 30], Array.from({ length: message.length }, (_, i) => i)]) {
      const { head, body, bodyLength } = await readRequestPieces(cutAt(message, places))
      t.strictSame(head, whole.head)
      t.equal(bodyLength, whole.bodyLength)
      const pieces: Buffer[] = []
      if (body !== undefined) for await (const piece of body) pieces.push(piece as Buffer)
      t.ok(Buffer.concat(pieces).equals(whole.body as Buffer ?? Buffer.alloc(0)))
    }
    for (const length of [0, 5, 20]) await t.rejects(readRequestPieces([message.subarray(0, length)]), { name: 'BhttpError' })
  }
})
