/** Messages of Polaris v1: recorded ones, sizes at the boundaries, and one refusal for whatever does not open. */
import {
  constants, createCipheriv, createDecipheriv, createHash, createPrivateKey, generateKeyPairSync, privateDecrypt,
  publicEncrypt, randomBytes, webcrypto
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import {
  checkIV, checkKey, encodeMessageHead, KEY_BYTES, LENGTH_BYTES, MAX_HEADER_BYTES, MessageError, openMessage,
  parseHeaderLength, parseMessageHeader, sealMessage, splitMessage, TAG_BYTES
} from '../../../lib/protocols/polaris-v1.ts'
import { ABSENT, loadVectors } from '../../fixtures/vectors.ts'
import type { PolarisV1Vectors } from '../../fixtures/vectors.ts'

const REFUSAL = { name: 'MessageError', code: 'ERR_POLARIS_V1_MESSAGE', message: 'The message cannot be opened' }
const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
const vectors = loadVectors<PolarisV1Vectors>('polaris-v1.json')

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const unwrap = unwrapWith(pair.privateKey)
const publicKey = await webcrypto.subtle.importKey('spki', pair.publicKey.export({ type: 'spki', format: 'der' }),
  { name: 'RSA-OAEP', hash: 'SHA-256' }, false, ['encrypt'])

t.test('valid recorded messages open, and are cut as recorded', { skip: vectors ? false : ABSENT }, async t => {
  for (const vector of vectors?.valid ?? []) {
    const key = Buffer.from(vector.aesKey, 'hex')
    const iv = Buffer.from(vector.iv, 'hex')
    const message = vector.message === undefined
      ? Buffer.concat([
        Buffer.from(vector.messageHead ?? '', 'base64'),
        aes(key, iv, fromSeed(vector.plaintextSeed ?? '', vector.plaintextBytes)).ciphertext
      ])
      : Buffer.from(vector.message, 'base64')
    if (vector.messageSha256) t.equal(sha256(message), vector.messageSha256)
    const plaintext = await openMessage(message, unwrapWith(createPrivateKey(vectors?.keys.server.privatePem ?? '')))
    t.equal(plaintext.length, vector.plaintextBytes, vector.name)
    t.equal(sha256(plaintext), vector.plaintextSha256, vector.name)
  }
})

t.test('invalid recorded messages are refused in one way, lenient ones open', {
  skip: vectors
    ? false
    : ABSENT
}, async t => {
  for (const { name, message, mustReject } of vectors?.invalid ?? []) {
    const opened = openMessage(
      Buffer.from(message, 'base64'), unwrapWith(createPrivateKey(vectors?.keys.server.privatePem ?? ''))
    )
    if (mustReject) await t.rejects(opened, REFUSAL, name)
    else await t.resolves(opened, name)
  }
})

t.test('recorded responses open with the recorded client key', { skip: vectors ? false : ABSENT }, async t => {
  for (const { name, referenceResponse } of vectors?.requests ?? []) {
    const plaintext = await openMessage(
      Buffer.from(referenceResponse.bodyText, 'base64'),
      unwrapWith(createPrivateKey(vectors?.keys.client.privatePem ?? ''))
    )
    t.equal(Buffer.from(plaintext).toString('base64'), referenceResponse.plaintext, name)
  }
})

t.test('the head is written as the original writes it', { skip: vectors ? false : ABSENT }, t => {
  for (const {
    name, message, messageHead
  } of vectors?.valid.filter(({ name }) => /\((node|webcrypto)\)$/.test(name)) ?? []) {
    const { header, ciphertext } = splitMessage(Buffer.from(message ?? messageHead ?? '', 'base64'))
    const head = encodeMessageHead(parseMessageHeader(header))
    t.same(Buffer.concat([head, ciphertext]), Buffer.from(message ?? messageHead ?? '', 'base64'), name)
  }
  t.end()
})

t.test('what is sealed opens, here and with node:crypto, at the boundary sizes', async t => {
  for (const size of [0, 1, 15, 16, 17, 65535, 65536, 65537]) {
    const plaintext = new Uint8Array(randomBytes(size))
    const message = await sealMessage(plaintext, publicKey)
    const { header, ciphertext } = splitMessage(message)
    t.equal(ciphertext.length, size, 'the ciphertext is as long as the plaintext')
    t.ok(Buffer.from(plaintext).equals(await openMessage(message, unwrap)), `${size} octets`)

    const { wrappedKey, wrappedIV, authTag } = parseMessageHeader(header)
    const iv = privateDecrypt({ key: pair.privateKey, ...OAEP }, wrappedIV)
    t.equal(iv.length, 12)
    const decipher = createDecipheriv('aes-256-gcm', privateDecrypt({ key: pair.privateKey, ...OAEP }, wrappedKey), iv)
    decipher.setAuthTag(authTag)
    t.ok(Buffer.concat([decipher.update(ciphertext), decipher.final()]).equals(plaintext))
  }
})

t.test('a message of the Node client, with its 16-octet IV, opens', async t => {
  t.same(await openMessage(seal(Buffer.from('polaris'), { ivBytes: 16 }), unwrap), Buffer.from('polaris'))
})

t.test('keys, IVs and tags of any other length are refused', async t => {
  for (const keyBytes of [0, 16, 24, 31, 33]) {
    await t.rejects(openMessage(seal(Buffer.from('x'), { keyBytes }), unwrap), REFUSAL, `key of ${keyBytes}`)
  }
  for (const ivBytes of [1, 8, 11, 13, 15, 17, 64]) {
    await t.rejects(openMessage(seal(Buffer.from('x'), { ivBytes }), unwrap), REFUSAL, `IV of ${ivBytes}`)
  }
  for (const tagBytes of [0, 4, 8, 12, 15, 17]) {
    await t.rejects(openMessage(seal(Buffer.from('x'), { tagBytes }), unwrap), REFUSAL, `tag of ${tagBytes}`)
  }
  t.throws(() => checkKey(new Uint8Array(31)), REFUSAL)
  t.throws(() => checkIV(new Uint8Array(0)), REFUSAL)
  t.doesNotThrow(
    () => { checkKey(new Uint8Array(KEY_BYTES)); checkIV(new Uint8Array(12)); checkIV(new Uint8Array(16)) }
  )
})

t.test('a header is strict JSON with three base64 strings of the right lengths', t => {
  const b256 = Buffer.alloc(256, 1).toString('base64')
  const tag = Buffer.alloc(TAG_BYTES).toString('base64')
  const good = { wrappedKey: b256, wrappedIV: b256, authTag: tag }
  const accepted: Record<string, string> = {
    'as written': JSON.stringify(good),
    'an unknown field and another order': JSON.stringify(
      { authTag: tag, more: [1, { a: null }], wrappedIV: b256, wrappedKey: b256 }
    ),
    'base64url without padding': JSON.stringify({ ...good, wrappedKey: Buffer.alloc(256, 0xfb).toString('base64url') }),
    'white space in a field and around the JSON': ` \n${JSON.stringify(
      { ...good, wrappedIV: b256.replace(/.{64}/g, '$&\r\n') }
    )} `,
    'a name twice, the last one good': `{"authTag":7,"wrappedKey":"","wrappedKey":"${b256}","wrappedIV":"${b256}","authTag":"${tag}"}`,
    'RSA-4096 lengths': JSON.stringify(
      { ...good, wrappedKey: Buffer.alloc(512).toString('base64'), wrappedIV: Buffer.alloc(512).toString('base64') }
    )
  }
  for (const [name, json] of Object.entries(accepted)) {
    t.equal(parseMessageHeader(Buffer.from(json)).authTag.length, TAG_BYTES, name)
  }

  const refused: Record<string, string | Uint8Array> = {
    'no octets': '',
    null: 'null',
    'an array': JSON.stringify([good]),
    'a string': JSON.stringify(JSON.stringify(good)),
    'a byte order mark': `\ufeff${JSON.stringify(good)}`,
    'not UTF-8': Buffer.concat(
      [Buffer.from(JSON.stringify(good).slice(0, -1) + ',"x":"'), Buffer.from([0xff]), Buffer.from('"}')]
    ),
    'something after it': `${JSON.stringify(good)}x`,
    'a length in place of a string': '{"wrappedKey":{"length":1e9}}',
    'only a length in place of a string': JSON.stringify({ ...good, wrappedKey: { length: 1e9 } }),
    'octets in place of a string': JSON.stringify({ ...good, authTag: [...Buffer.alloc(TAG_BYTES)] }),
    'fields of the prototype': `{"__proto__":${JSON.stringify(good)}}`,
    'no tag': JSON.stringify({ ...good, authTag: undefined }),
    'a tag that is not base64': JSON.stringify({ ...good, authTag: '*'.repeat(24) }),
    'a key one octet short': JSON.stringify({ ...good, wrappedKey: Buffer.alloc(255).toString('base64') }),
    'a key one octet long': JSON.stringify({ ...good, wrappedKey: Buffer.alloc(257).toString('base64') }),
    'key and IV for different moduli': JSON.stringify({ ...good, wrappedIV: Buffer.alloc(512).toString('base64') }),
    'deep nesting': '['.repeat(MAX_HEADER_BYTES),
    'more than the bound': JSON.stringify(good).padEnd(MAX_HEADER_BYTES + 1)
  }
  for (const [name, json] of Object.entries(refused)) {
    t.throws(() => parseMessageHeader(typeof json === 'string' ? Buffer.from(json) : json), REFUSAL, name)
  }
  t.equal(
    parseMessageHeader(Buffer.from(JSON.stringify(good).padEnd(MAX_HEADER_BYTES))).authTag.length, TAG_BYTES,
    'the bound itself'
  )
  t.end()
})

t.test('a polluted Object.prototype supplies no field', t => {
  const wrappedKey = Buffer.alloc(256).toString('base64')
  Reflect.defineProperty(Object.prototype, 'wrappedKey', { value: wrappedKey, configurable: true })
  t.teardown(() => Reflect.deleteProperty(Object.prototype, 'wrappedKey'))
  const header = Buffer.from(
    JSON.stringify({ wrappedIV: wrappedKey, authTag: Buffer.alloc(TAG_BYTES).toString('base64') })
  )
  t.throws(() => parseMessageHeader(header), REFUSAL)
  t.end()
})

t.test('the header length is bounded before anything is read or reserved', t => {
  for (const [prefix, length] of [['00000001', 1], ['00004000', MAX_HEADER_BYTES]] as const) {
    t.equal(parseHeaderLength(Buffer.from(prefix, 'hex')), length)
  }
  for (const prefix of ['', '000001', '00000000', '00004001', 'ffffffff', '80000001']) {
    t.throws(() => parseHeaderLength(Buffer.from(prefix, 'hex')), REFUSAL, prefix)
  }
  t.end()
})

t.test('a message cut at any offset is refused', async t => {
  const message = seal(Buffer.from('seventeen octets!'))
  for (let end = 0; end < message.length; end++) {
    const error = await openMessage(message.subarray(0, end), unwrap).catch((error: unknown) => error)
    if (!(error instanceof MessageError)) t.fail(`cut at ${end}`)
  }
  t.same(await openMessage(message, unwrap), Buffer.from('seventeen octets!'), 'and whole it opens')
})

t.test('a mutated message never opens to anything else', async t => {
  const plaintext = Buffer.from('attack at dawn')
  const message = seal(plaintext)
  await fc.assert(fc.asyncProperty(
    fc.array(fc.record({ at: fc.nat(message.length - 1), to: fc.nat(255) }), { minLength: 1, maxLength: 4 }),
    async changes => {
      const mutated = Buffer.from(message)
      for (const { at, to } of changes) mutated[at] = to
      // Some change nothing that counts: a space for a space, the unused bits of a last base64 digit.
      const result = await openMessage(mutated, unwrap).catch((error: unknown) => error)
      return result instanceof MessageError || (result instanceof Uint8Array && plaintext.equals(result))
    }), { numRuns: 300 })
})

t.test('any octets are read or refused, with no other error', t => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (octets, framed) => {
    const message = framed ? Buffer.concat([Buffer.from([0, 0, 0, octets.length]), octets]) : octets
    try {
      parseMessageHeader(splitMessage(message).header)
    } catch (error) {
      return error instanceof MessageError
    }
    return false
  }), { numRuns: 500 })
  fc.assert(fc.property(fc.json(), json => {
    t.throws(() => parseMessageHeader(Buffer.from(json)), REFUSAL)
  }), { numRuns: 200 })
  t.end()
})

t.test('views with an offset are read as what they show', async t => {
  const message = seal(Buffer.from('inside'))
  const larger = Buffer.concat([randomBytes(7), message, randomBytes(5)])
  t.same(await openMessage(larger.subarray(7, 7 + message.length), unwrap), Buffer.from('inside'))
})

t.test('why a key could not be unwrapped stays inside, as the cause', async t => {
  const cause = new Error('vault.internal is unreachable')
  const error = await openMessage(seal(Buffer.from('x')), () => Promise.reject(cause)).catch((error: unknown) => error)
  t.match(error, REFUSAL)
  t.equal((error as MessageError).cause, cause)
})

/** A message as node:crypto makes it, with lengths to choose. */
function seal (plaintext: Uint8Array, { keyBytes = KEY_BYTES, ivBytes = 12, tagBytes = TAG_BYTES } = {}): Buffer {
  const key = randomBytes(keyBytes)
  const iv = randomBytes(ivBytes)
  const { ciphertext, tag } = keyBytes === KEY_BYTES && ivBytes > 0
    ? aes(key, iv, plaintext)
    : { ciphertext: plaintext, tag: randomBytes(TAG_BYTES) }
  const wrap = (octets: Uint8Array): Uint8Array => publicEncrypt({ key: pair.publicKey, ...OAEP }, octets)
  const authTag = Buffer.concat([tag, Buffer.alloc(1)]).subarray(0, tagBytes)
  const head = encodeMessageHead({ wrappedKey: wrap(key), wrappedIV: wrap(iv), authTag })
  t.equal(parseHeaderLength(head), head.length - LENGTH_BYTES)
  return Buffer.concat([head, ciphertext])
}

function aes (key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): { ciphertext: Buffer, tag: Buffer } {
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return { ciphertext, tag: cipher.getAuthTag() }
}

function unwrapWith (key: KeyObject): (wrapped: Uint8Array) => Promise<Uint8Array> {
  return wrapped => promisify(setImmediate)().then(() => privateDecrypt({ key, ...OAEP }, wrapped))
}

/** The vectors' long plaintexts: SHA-256(seed || uint32be counter), concatenated and cut. */
function fromSeed (seed: string, length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) => {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(i)
    return createHash('sha256').update(seed).update(counter).digest()
  })
  return Buffer.concat(blocks).subarray(0, length)
}

function sha256 (octets: Uint8Array): string {
  return createHash('sha256').update(octets).digest('hex')
}
