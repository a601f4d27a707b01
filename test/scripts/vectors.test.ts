/** docs/vectors holds what scripts/vectors.ts writes, and each of its exchanges is what it says. */
import t from 'tap'
import { readFileSync, readdirSync } from 'node:fs'
import { deriveKemKeyPair, importKemKeyPair } from '../../lib/hpke/kem.ts'
import { openChunkedRequest, openRequest } from '../../lib/exchanges/ohttp/request.ts'
import { createRecipientFactory } from '../../lib/hpke/recipient.ts'
import { EMPTY, concat } from '../../lib/protocols/bytes.ts'
import { EHBP_SUITE, REQUEST_INFO, RESPONSE_LABEL, encodeEhbpKey } from '../../lib/protocols/ehbp.ts'
import { decodeKeyConfig, decodeKeyConfigs } from '../../lib/protocols/ohttp/key-config.ts'
import { DIRECTORY, generateVectors, serialise } from '../../scripts/vectors.ts'
import { readMessage } from '../fixtures/bhttp.ts'
import { openResponse } from '../fixtures/ehbp-client.ts'
import { arriving, gatewayWith, opening } from '../fixtures/ohttp.ts'
import { hex, unhex } from '../fixtures/vectors.ts'

interface Exchange {
  name: string
  keyId: number
  kemId: number
  aeadId: number
  ikmR?: string
  skR?: string
  keyConfig: string
  enc: string
  sharedSecret: string
  responseNonce: string
}

interface OneShot extends Exchange {
  request: string
  encapsulatedRequest: string
  response: string
  encapsulatedResponse: string
}

interface Chunked extends Exchange {
  requestChunks: string[]
  encapsulatedRequest: string[]
  responseChunks: string[]
  encapsulatedResponse: string[]
}

function read (name: string): unknown {
  return JSON.parse(readFileSync(`${DIRECTORY}${name}`, 'utf8'))
}

function keyPairOf ({ kemId, ikmR, skR = '' }: Exchange) {
  return ikmR === undefined ? importKemKeyPair(kemId, unhex(skR)) : deriveKemKeyPair(kemId, unhex(ikmR))
}

t.test('the published vectors are what the script writes', async t => {
  const generated = await generateVectors()
  t.strictSame(readdirSync(DIRECTORY).filter(name => name.endsWith('.json')).sort(), Object.keys(generated).sort())
  for (const [name, vectors] of Object.entries(generated)) {
    t.ok(
      readFileSync(`${DIRECTORY}${name}`, 'utf8') === serialise(vectors), `${name}: else run node scripts/vectors.ts`
    )
  }
})

t.test('each Binary HTTP message is read as it says, or refused', async t => {
  const { messages, refused } = read('bhttp.json') as {
    messages: ({
      name: string, kind: 'request' | 'response', message: string, content?: string, trailers?: [string, string][]
    })[]
    refused: { name: string, kind: 'request' | 'response', message: string }[]
  }
  for (const { name, kind, message, content = '', trailers = [], ...head } of messages) {
    const whole = readMessage(kind, [unhex(message)])
    t.match({ ...whole[kind], informational: whole.informational }, head, name)
    t.strictSame([hex(whole.content), whole.trailers], [content, trailers], name)
  }
  for (const { name, kind, message } of refused) {
    t.throws(() => readMessage(kind, [unhex(message)]), { name: 'BhttpError' }, name)
  }
})

t.test('the key configurations are read as they say', async t => {
  const { configs, list } = read('key-config.json') as { configs: { publicKey: string }[], list: string }
  t.strictSame(
    decodeKeyConfigs(unhex(list)), configs.map(config => ({ ...config, publicKey: unhex(config.publicKey) }))
  )
})

t.test('each one-shot exchange opens and seals as it says', async t => {
  const { exchanges } = read('ohttp.json') as { exchanges: OneShot[] }
  for (const exchange of exchanges) {
    const keyPair = keyPairOf(exchange)
    t.match(
      decodeKeyConfig(unhex(exchange.keyConfig)), { keyId: exchange.keyId, publicKey: keyPair.publicKey }, exchange.name
    )
    const opened = await openRequest(unhex(exchange.encapsulatedRequest), gatewayWith(exchange.keyId, keyPair))
    t.strictSame([hex(opened.enc), hex(opened.request)], [exchange.enc, exchange.request], exchange.name)
    t.equal(hex(keyPair.decapsulate(unhex(exchange.enc))), exchange.sharedSecret)
    t.equal(
      hex(concat(...await opened.sealResponse(unhex(exchange.response), unhex(exchange.responseNonce)))),
      exchange.encapsulatedResponse
    )
  }
})

t.test('each chunked exchange opens and seals as it says', async t => {
  const { exchanges } = read('ohttp-chunked.json') as { exchanges: Chunked[] }
  for (const exchange of exchanges) {
    const gateway = gatewayWith(exchange.keyId, keyPairOf(exchange))
    const source = arriving(exchange.encapsulatedRequest.map(unhex))
    const opened = await openChunkedRequest(source, gateway)
    t.equal(
      hex(concat(...await Array.fromAsync(opening(source, opened)))), exchange.requestChunks.join(''), exchange.name
    )
    const sealer = opened.createResponseSealer(unhex(exchange.responseNonce))
    const last = exchange.responseChunks.length - 1
    const sealed = exchange.responseChunks.map(
      (chunk, i) => i === last ? sealer.final(unhex(chunk)) : sealer.seal(unhex(chunk))
    )
    t.equal(hex(concat(...sealed)), exchange.encapsulatedResponse.join(''), exchange.name)
  }
})

interface Ehbp extends Exchange {
  request: string
  requestBody: string
  exportedSecret: string
  response: string
  responseBody: string
}

t.test('the EHBP exchange opens as it says', async t => {
  const vector = read('ehbp.json') as Ehbp
  const keyPair = keyPairOf(vector)
  t.equal(hex(encodeEhbpKey(keyPair.publicKey)), vector.keyConfig)
  const secret = keyPair.decapsulate(unhex(vector.enc))
  t.equal(hex(secret), vector.sharedSecret)
  const recipient = createRecipientFactory(EHBP_SUITE, REQUEST_INFO)(secret)
  const opened: Uint8Array[] = []
  for (let rest = unhex(vector.requestBody); rest.length > 0;) {
    const length = Buffer.from(rest).readUInt32BE()
    if (length > 0) opened.push(recipient.open(rest.subarray(4, 4 + length), EMPTY))
    rest = rest.subarray(4 + length)
  }
  t.strictSame([opened.length, hex(concat(...opened))], [3, vector.request])
  t.equal(hex(recipient.export(RESPONSE_LABEL, 32)), vector.exportedSecret)
  // Of node:crypto alone.
  const response = openResponse(
    unhex(vector.exportedSecret), unhex(vector.enc), vector.responseNonce, unhex(vector.responseBody)
  )
  t.equal(hex(Buffer.concat(response)), vector.response)
})
