/**
 * What the cryptography of one exchange costs, and what it would cost by other means. CPU microseconds per operation,
 * median of seven rounds: compare within one run, do not quote. `node bench/primitives.ts`
 */
import {
  createCipheriv, createHmac, createPublicKey, createSecretKey, decapsulate, diffieHellman, generateKeyPairSync, hash,
  hkdfSync, randomBytes
} from 'node:crypto'
import { Readable } from 'node:stream'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import * as hpke from 'hpke'
import { createAead } from '../lib/hpke/aead.ts'
import { hmacSha256 } from '../lib/hpke/hmac.ts'
import { generateKemKeyPair } from '../lib/hpke/kem.ts'
import { readRequest, readRequestStream } from '../lib/exchanges/ohttp/inner-request.ts'
import { createResponseWriter } from '../lib/exchanges/ohttp/inner-response.ts'
import { openChunkedRequest, openChunks, openRequest } from '../lib/exchanges/ohttp/request.ts'
import { encodeRequest, encodeResponse } from '../lib/protocols/bhttp/writer.ts'
import { decodeKeyConfigs, encodeKeyConfigs } from '../lib/protocols/ohttp/key-config.ts'
import { encapsulateRequest, startChunkedExchange } from '../sdk/ohttp/client.ts'

const ROUNDS = 7

async function measure (name: string, operations: number, run: () => unknown): Promise<void> {
  const rounds: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < operations; i++) await run()
    const { user, system } = process.cpuUsage(before)
    // The first round warms up.
    if (round > 0) rounds.push((user + system) / operations)
  }
  rounds.sort((a, b) => a - b)
  console.log(`| ${name} | ${rounds[Math.floor(ROUNDS / 2)]?.toFixed(1)} |`)
}

console.log(
  `Node ${process.version}, OpenSSL ${process.versions.openssl}, ${process.arch}\n\n| Operation | µs |\n| --- | --- |`
)

const key = randomBytes(32)
const short = randomBytes(90)
const keyObject = createSecretKey(key)
await measure('(an empty awaited call, part of every line)', 20_000, () => undefined)
await measure('SHA-256 of 90 octets: crypto.hash to a Buffer', 20_000, () => hash('sha256', short, 'buffer'))
await measure('SHA-256 of 90 octets: crypto.hash to a string', 20_000, () => hash('sha256', short, 'binary'))
await measure(
  'HMAC of 90 octets: createHmac, key as Buffer', 5000, () => createHmac('sha256', key).update(short).digest()
)
await measure(
  'HMAC of 90 octets: createHmac, key as KeyObject', 5000, () => createHmac('sha256', keyObject).update(short).digest()
)
await measure('HMAC of 90 octets: @noble/hashes', 5000, () => hmac(sha256, key, short))
await measure('HMAC of 90 octets: ours', 20_000, () => hmacSha256(key, short))
await measure('HKDF to 32 octets: hkdfSync', 5000, () => hkdfSync('sha256', key, short, short, 32))

const [one, other] = [generateKeyPairSync('x25519'), generateKeyPairSync('x25519')]
const raw = other.publicKey.export({ format: 'raw-public' })
await measure(
  'X25519: import of a raw public key', 2000,
  () => createPublicKey({ key: raw, format: 'raw-public', asymmetricKeyType: 'x25519' })
)
await measure(
  'X25519: diffieHellman with imported keys', 2000,
  () => diffieHellman({ privateKey: one.privateKey, publicKey: other.publicKey })
)
await measure('X25519: decapsulate, import and HKDF included', 2000, () => decapsulate(one.privateKey, raw))

const kilobyte = randomBytes(1024)
const chunk = randomBytes(16384)
const nonce = randomBytes(12)
const none = new Uint8Array()
await measure('AES-128-GCM, 1 KiB: createCipheriv, key as Buffer', 5000, () => {
  const cipher = createCipheriv('aes-128-gcm', key.subarray(0, 16), nonce)
  cipher.update(kilobyte)
  cipher.final()
  cipher.getAuthTag()
})
for (const [name, aeadId, size] of [
  ['AES-128-GCM', 1, 16], ['AES-256-GCM', 2, 32], ['ChaCha20-Poly1305', 3, 32]
] as const) {
  const aead = createAead(aeadId, key.subarray(0, size))
  await measure(`${name}, 1 KiB: ours`, 5000, () => aead.seal(nonce, kilobyte, none))
  await measure(`${name}, 16 KiB: ours`, 2000, () => aead.seal(nonce, chunk, none))
}

const head = {
  method: 'POST',
  scheme: 'https',
  authority: 'api.example',
  path: '/v1/things?limit=10',
  headers: [
    ['content-type', 'application/json'], ['accept', 'application/json'], ['authorization', `Bearer ${'x'.repeat(40)}`],
    ['date', 'Tue, 01 Jul 2025 10:00:00 GMT'], ['user-agent', 'bench']
  ] as const
}
const answer = {
  status: 200, headers: [['content-type', 'application/json'], ['date', 'Tue, 01 Jul 2025 10:00:00 GMT']] as const
}
const request = encodeRequest(head, { content: kilobyte })
await measure('BHTTP request, 1 KiB: read', 5000, () => readRequest([request]))
await measure('BHTTP response, 1 KiB: written', 5000, () => encodeResponse(answer, { content: kilobyte }))

for (const [name, kemId] of [['X25519', 0x20], ['MLKEM768-X25519', 0x647a]] as const) {
  const keyPair = generateKemKeyPair(kemId)
  const suites = [{ kdfId: 1, aeadId: 1 }]
  const [config] = decodeKeyConfigs(encodeKeyConfigs([{ keyId: 1, kemId, publicKey: keyPair.publicKey, suites }]))
  if (config === undefined) throw new Error('one configuration')
  const encryptionKey = { config, suite: { kdfId: 1, aeadId: 1 } }
  const { message } = await encapsulateRequest(encryptionKey, request)
  const chunked = await (await startChunkedExchange(encryptionKey)).seal(request)
  await measure(
    `${name}: decapsulation`, 2000, () => keyPair.decapsulate(message.subarray(7, 7 + (kemId === 0x20 ? 32 : 1120)))
  )
  await measure(`${name}: OHTTP exchange, 1 KiB, gateway, BHTTP included`, 2000, async () => {
    const opened = await openRequest(message, (_, enc) => keyPair.decapsulate(enc))
    await readRequest([opened.request])
    await opened.sealResponse(encodeResponse(answer, { content: kilobyte }))
  })
  await measure(`${name}: chunked OHTTP exchange, 1 KiB, gateway, all there at once`, 2000, async () => {
    const opened = await openChunks(chunked, (_, enc) => keyPair.decapsulate(enc))
    await readRequest(opened.pieces)
    opened.createResponseSealer().final(encodeResponse(answer, { content: kilobyte }))
  })
  await measure(`${name}: chunked OHTTP exchange, 1 KiB, gateway, as it arrives`, 2000, async () => {
    const source = Readable.from([chunked])
    const opened = await openChunkedRequest(source, (_, enc) => keyPair.decapsulate(enc))
    await readRequestStream(source, opened)
    const writer = createResponseWriter(opened.createResponseSealer(), answer)
    writer.head()
    writer.content(kilobyte)
    writer.end()
  })
  await measure(
    `${name}: client, encapsulation with hpke on WebCrypto`, 200, () => encapsulateRequest(encryptionKey, request)
  )
  const suite = new hpke.CipherSuite(
    kemId === 0x20 ? hpke.KEM_DHKEM_X25519_HKDF_SHA256 : hpke.KEM_MLKEM768_X25519, hpke.KDF_HKDF_SHA256,
    hpke.AEAD_AES_128_GCM
  )
  const theirs = await suite.GenerateKeyPair()
  const sealed = await suite.Seal(theirs.publicKey, kilobyte)
  await measure(
    `${name}: HPKE open with hpke on WebCrypto`, 200,
    () => suite.Open(theirs.privateKey, sealed.encapsulatedSecret, sealed.ciphertext)
  )
}

const keyPair = generateKemKeyPair(0x20)
const megabyte = randomBytes(1 << 20)
const encryptionKey = {
  config: { keyId: 1, kemId: 0x20, publicKey: keyPair.publicKey, suites: [] }, suite: { kdfId: 1, aeadId: 1 }
}
const upload = await (await startChunkedExchange(encryptionKey)).seal(encodeRequest(head, { content: megabyte }))
const reads = Array.from(
  { length: Math.ceil(upload.length / 65536) }, (_, i) => upload.subarray(i * 65536, (i + 1) * 65536)
)
await measure('chunked OHTTP, 1 MiB up, in reads of 64 KiB', 50, async () => {
  const source = Readable.from(reads)
  const { body } = await readRequestStream(
    source, await openChunkedRequest(source, (_, enc) => keyPair.decapsulate(enc))
  )
  if (body === undefined || body instanceof Uint8Array) throw new Error('a stream')
  for await (const piece of body) if (!(piece instanceof Uint8Array)) throw new Error('octets')
})
await measure('chunked OHTTP, 1 MiB down, in chunks of 64 KiB', 50, async () => {
  const opened = await openChunkedRequest(Readable.from([upload]), (_, enc) => keyPair.decapsulate(enc))
  const writer = createResponseWriter(opened.createResponseSealer(), answer)
  writer.head()
  for (let i = 0; i < 16; i++) writer.content(megabyte.subarray(i * 65536, (i + 1) * 65536))
  writer.end()
})
