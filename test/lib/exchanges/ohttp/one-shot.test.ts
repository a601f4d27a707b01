/** One-shot OHTTP: published vectors, peers that share no code with it, and keys that cannot be used. */
import t from 'tap'
import { concat } from '../../../../lib/protocols/bytes.ts'
import fc from 'fast-check'
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { Aes128Gcm, Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core'
import * as hpke from 'hpke'
import { generateKemKeyPair, importKemKeyPair } from '../../../../lib/hpke/kem.ts'
import { openRequest } from '../../../../lib/exchanges/ohttp/request.ts'
import { decodeKeyConfigs, encodeKeyConfigs } from '../../../../lib/protocols/ohttp/key-config.ts'
import { selectKey } from '../../../../sdk/ohttp/hpke-sender.ts'
import { encapsulateRequest } from '../../../../sdk/ohttp/client.ts'
import { encryptionKey, fixedEphemeral, gatewayWith } from '../../../fixtures/ohttp.ts'
import { hex, sharedVectors, unhex } from '../../../fixtures/vectors.ts'

/** RFC 9458, appendix A. */
const VECTOR = {
  skR: '3c168975674b2fa8e465970b79c8dcf09f1c741626480bd4c6162fc5b6a98e1a',
  request: '00034745540568747470730b6578616d706c652e636f6d012f',
  skE: 'bc51d5e930bda26589890ac7032f70ad12e4ecb37abb1b65b1256c9c48999c73',
  encapsulated_request:
    '' +
    '010020000100014b28f881333e7c164ffc499ad9796f877f4e1051ee6d31bad19dec96c208b4726374e469135906992e1268c594d2a10c695d858c40a026e7965e7d86b83dd440b2c0185204b4d63525',
  response: '0140c8',
  response_nonce: 'c789e7151fcba46158ca84b04464910d',
  encapsulated_response: 'c789e7151fcba46158ca84b04464910d86f9013e404feea014e7be4a441f234f857fbd'
}

t.test('the example of RFC 9458 is made and opened by both sides', async t => {
  const keyPair = importKemKeyPair(0x20, unhex(VECTOR.skR))
  const client = await encapsulateRequest(
    encryptionKey(1, keyPair), unhex(VECTOR.request), fixedEphemeral(unhex(VECTOR.skE))
  )
  t.equal(hex(client.message), VECTOR.encapsulated_request)
  const opened = await openRequest(unhex(VECTOR.encapsulated_request), gatewayWith(1, keyPair))
  t.equal(hex(opened.request), VECTOR.request)
  t.equal(
    hex(concat(...await opened.sealResponse(unhex(VECTOR.response), unhex(VECTOR.response_nonce)))),
    VECTOR.encapsulated_response
  )
  t.equal(hex(await client.open(unhex(VECTOR.encapsulated_response))), VECTOR.response)
})

t.test('the vector kept next to the project is the one printed here', async t => {
  const vector = sharedVectors('rfc9458.json')
  if (typeof vector === 'string') return t.pass(`skipped: ${vector}`)
  t.match(vector, VECTOR)
})

for (const kemId of [0x20, 0x647a]) {
  for (const aeadId of [1, 2, 3]) {
    t.test(`a request and its response go through with KEM ${kemId} and AEAD ${aeadId}`, async t => {
      const keyPair = generateKemKeyPair(kemId)
      for (const size of [0, 1, 1024, 70_000]) {
        const request = new Uint8Array(size).fill(3)
        const client = await encapsulateRequest(encryptionKey(9, keyPair, aeadId), request)
        const opened = await openRequest(client.message, gatewayWith(9, keyPair))
        t.equal(opened.header.keyId, 9)
        t.ok(Buffer.from(opened.request).equals(request))
        const response = new Uint8Array(size + 1).fill(4)
        t.ok(Buffer.from(await client.open(concat(...await opened.sealResponse(response)))).equals(response))
        t.not(
          hex(concat(...await opened.sealResponse(response))), hex(concat(...await opened.sealResponse(response))),
          'the response nonce is fresh'
        )
      }
    })
  }
}

t.test('response nonces are random, and none comes twice, however long they are', async t => {
  const keyPair = generateKemKeyPair(0x20)
  const seen = new Set<string>()
  let zeros = 0
  for (let i = 0; i < 800; i++) {
    // Of 16 and 32 bytes.
    const { message } = await encapsulateRequest(encryptionKey(9, keyPair, 1 + i % 2), Uint8Array.of(1))
    const [nonce] = await (await openRequest(message, gatewayWith(9, keyPair))).sealResponse(Uint8Array.of(2))
    t.equal(nonce?.length, 16 + 16 * (i % 2))
    for (const half of [nonce?.subarray(0, 16), nonce?.subarray(16)]) if (half?.length === 16) seen.add(hex(half))
    zeros += nonce?.filter(octet => octet === 0).length ?? 0
  }
  t.equal(seen.size, 1200)
  // 75 of 19200 on average.
  t.ok(zeros < 200, String(zeros))
})

t.test('a client put together from hpke and node:crypto alone is understood, and understands', async t => {
  const keyPair = generateKemKeyPair(0x20)
  const suite = new hpke.CipherSuite(hpke.KEM_DHKEM_X25519_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES_256_GCM)
  const header = Uint8Array.of(7, 0, 0x20, 0, 1, 0, 2)
  const info = Buffer.concat([Buffer.from('message/bhttp request'), Uint8Array.of(0), header])
  const { encapsulatedSecret, ctx } = await suite.SetupSender(
    await suite.DeserializePublicKey(keyPair.publicKey), { info }
  )
  const message = Buffer.concat([header, encapsulatedSecret, await ctx.Seal(Buffer.from('their request'))])
  const opened = await openRequest(message, gatewayWith(7, keyPair))
  t.equal(Buffer.from(opened.request).toString(), 'their request')

  const response = concat(...await opened.sealResponse(Buffer.from('our response')))
  const salt = Buffer.concat([encapsulatedSecret, response.subarray(0, 32)])
  const secret = await ctx.Export(Buffer.from('message/bhttp response'), 32)
  const decipher = createDecipheriv(
    'aes-256-gcm', new Uint8Array(hkdfSync('sha256', secret, salt, 'key', 32)),
    new Uint8Array(hkdfSync('sha256', secret, salt, 'nonce', 12))
  )
  decipher.setAuthTag(response.subarray(-16))
  t.equal(decipher.update(response.subarray(32, -16), undefined, 'utf8') + decipher.final('utf8'), 'our response')
})

t.test('a gateway put together from @hpke/core and node:crypto alone understands our client, and is ' +
  'understood', async t => {
  for (const [aeadId, aead, Nk] of [[1, new Aes128Gcm(), 16], [2, new Aes256Gcm(), 32]] as const) {
    const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead })
    const { privateKey, publicKey } = await suite.kem.generateKeyPair()
    const config = {
      keyId: 7, kemId: 0x20, publicKey: new Uint8Array(await suite.kem.serializePublicKey(publicKey)), suites: []
    }
    const client = await encapsulateRequest({ config, suite: { kdfId: 1, aeadId } }, Buffer.from('our request'))
    const [header, enc] = [client.message.subarray(0, 7), client.message.slice(7, 39)]
    t.equal(hex(header), `0700200001000${aeadId}`)
    const info = Buffer.concat([Buffer.from('message/bhttp request'), Uint8Array.of(0), header])
    const recipient = await suite.createRecipientContext({ recipientKey: privateKey, enc, info })
    t.equal(Buffer.from(await recipient.open(client.message.slice(39))).toString(), 'our request')

    const nonce = new Uint8Array(Nk).fill(9)
    const secret = new Uint8Array(await recipient.export(Buffer.from('message/bhttp response'), Nk))
    const derive = (label: string, length: number) =>
      new Uint8Array(hkdfSync('sha256', secret, Buffer.concat([enc, nonce]), label, length))
    const cipher = createCipheriv(aeadId === 1 ? 'aes-128-gcm' : 'aes-256-gcm', derive('key', Nk), derive('nonce', 12))
    const response = Buffer.concat([nonce, cipher.update('their response'), cipher.final(), cipher.getAuthTag()])
    t.equal(Buffer.from(await client.open(response)).toString(), 'their response')
  }
})

t.test('a key that cannot be used is an error that says to fetch another', async t => {
  const key = encryptionKey(1, generateKemKeyPair(0x20))
  const cases = [
    { ...key, config: { ...key.config, kemId: 0x10 } },
    { ...key, config: { ...key.config, publicKey: new Uint8Array(31) } },
    { ...key, suite: { kdfId: 2, aeadId: 1 } },
    { ...key, suite: { kdfId: 1, aeadId: 9 } }
  ]
  for (const unusable of cases) {
    await t.rejects(encapsulateRequest(unusable, new Uint8Array()), { code: 'ERR_OHTTP_KEY' })
  }
})

t.test('the hybrid key is preferred, then the order of the server, and AES to ChaCha20', async t => {
  const hybrid = encryptionKey(2, generateKemKeyPair(0x647a)).config
  const one = {
    ...encryptionKey(1, generateKemKeyPair(0x20)).config,
    suites: [{ kdfId: 1, aeadId: 3 }, { kdfId: 1, aeadId: 2 }, { kdfId: 1, aeadId: 1 }]
  }
  const chacha = encryptionKey(3, generateKemKeyPair(0x20), 3).config
  const read = (...configs: (typeof hybrid)[]) => decodeKeyConfigs(encodeKeyConfigs(configs))
  t.equal((await selectKey(read(one, hybrid)))?.config.keyId, 2)
  t.match(await selectKey(read(one, chacha)), { config: { keyId: 1 }, suite: { aeadId: 2 } })
  t.match(await selectKey(read(chacha, one)), { config: { keyId: 3 }, suite: { aeadId: 3 } })
  t.equal(await selectKey([]), undefined)
})

// Of the hybrid, whose encapsulated key is long, one bit in nine: all positions within an octet.
for (const [kemId, step] of [[0x20, 1], [0x647a, 9]] as const) {
  t.test(`every flipped bit, and every truncation, of a request is refused: KEM ${kemId}`, async t => {
    const keyPair = generateKemKeyPair(kemId)
    const { message } = await encapsulateRequest(encryptionKey(1, keyPair), Buffer.from('request'))
    const gateway = gatewayWith(1, keyPair)
    // 0 to 6: the header. Key id and KEM, KDF and AEAD name something that is not there; the suite is bound besides.
    for (let bit = 0; bit < 8 * message.length; bit += bit < 56 ? 1 : step) {
      const flipped = Uint8Array.from(message)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      await t.rejects(
        openRequest(flipped, gateway),
        { name: 'OhttpError', code: bit < 40 ? 'ERR_OHTTP_KEY' : /ERR_OHTTP_(KEY|OPEN)/ }, `bit ${bit}`
      )
    }
    for (let length = 0; length < message.length; length += step) {
      await t.rejects(openRequest(message.subarray(0, length), gateway), { code: 'ERR_OHTTP_OPEN' }, `${length}`)
    }
  })
}

t.test('every flipped bit, and every truncation, of a response is refused', async t => {
  const keyPair = generateKemKeyPair(0x20)
  const client = await encapsulateRequest(encryptionKey(1, keyPair), Buffer.from('request'))
  const response = concat(
    ...await (await openRequest(client.message, gatewayWith(1, keyPair))).sealResponse(Buffer.from('response'))
  )
  for (let bit = 0; bit < 8 * response.length; bit++) {
    const flipped = Uint8Array.from(response)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    await t.rejects(client.open(flipped), { code: 'ERR_OHTTP_OPEN' }, `bit ${bit}`)
  }
  for (let length = 0; length < response.length; length++) {
    await t.rejects(client.open(response.subarray(0, length)), { code: 'ERR_OHTTP_OPEN' }, `${length}`)
  }
})

t.test('a response opens only for the request that it answers', async t => {
  const keyPair = generateKemKeyPair(0x20)
  const clients = await Promise.all(
    [1, 2].map(() => encapsulateRequest(encryptionKey(1, keyPair), Buffer.from('same')))
  )
  const [one, other] = clients
  if (one === undefined || other === undefined) throw new Error('two clients')
  const opened = await openRequest(one.message, gatewayWith(1, keyPair))
  await t.rejects(other.open(concat(...await opened.sealResponse(Buffer.from('response')))), { code: 'ERR_OHTTP_OPEN' })
})

t.test('whatever a key ring throws is one refusal, but for a key that it does not know', async t => {
  const keyPair = generateKemKeyPair(0x20)
  const { message } = await encapsulateRequest(encryptionKey(1, keyPair), Buffer.from('request'))
  await t.rejects(openRequest(message, async () => { throw new TypeError('inner detail') }), {
    code: 'ERR_OHTTP_OPEN', message: 'The message cannot be opened'
  })
  await t.rejects(openRequest(message, gatewayWith(2, keyPair)), { code: 'ERR_OHTTP_KEY' })
  await t.rejects(openRequest(message, gatewayWith(1, generateKemKeyPair(0x20))), { code: 'ERR_OHTTP_OPEN' })
})

t.test('random octets are refused', async () => {
  const gateway = gatewayWith(1, generateKemKeyPair(0x20))
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), fc.boolean(), async (bytes, withHeader) => {
    const message = withHeader ? Buffer.concat([unhex('01002000010001'), bytes]) : bytes
    return await openRequest(message, gateway).then(
      () => false, (error: unknown) => error instanceof Error && error.name === 'OhttpError'
    )
  }))
})
