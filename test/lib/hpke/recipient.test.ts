/** HPKE, the receiving side: published vectors, and two other implementations as senders. */
import t from 'tap'
import type { Test } from 'tap'
import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import * as hpke from 'hpke'
import { createAead } from '../../../lib/hpke/aead.ts'
import { expand, extract, hmacSha256 } from '../../../lib/hpke/hmac.ts'
import { DecapsulationError, deriveKemKeyPair, generateKemKeyPair, importKemKeyPair } from '../../../lib/hpke/kem.ts'
import { createRecipientFactory } from '../../../lib/hpke/recipient.ts'
import type { Recipient } from '../../../lib/hpke/recipient.ts'
import { computeNonce } from '../../../lib/protocols/ohttp/nonce.ts'
import { MLKEM768_X25519_CHACHA20, X25519_AES_128_GCM } from '../../fixtures/hpke-vectors.ts'
import { AEAD_IDS, coreSuite } from '../../fixtures/independent-ohttp.ts'
import { hex, unhex } from '../../fixtures/vectors.ts'

const KEMS = new Map([[0x20, hpke.KEM_DHKEM_X25519_HKDF_SHA256], [0x647a, hpke.KEM_MLKEM768_X25519]])
const AEADS = new Map([[1, hpke.AEAD_AES_128_GCM], [2, hpke.AEAD_AES_256_GCM], [3, hpke.AEAD_ChaCha20Poly1305]])
const NONE = new Uint8Array()

t.test('HMAC and HKDF are those of node:crypto', async t => {
  for (const keyLength of [0, 1, 32, 63, 64, 65, 1152]) {
    for (const length of [0, 1, 55, 56, 64, 200, 512]) {
      const [key, message] = [randomBytes(keyLength), randomBytes(length)]
      t.equal(
        hex(hmacSha256(key, message.subarray(0, length / 2), message.subarray(length / 2))),
        createHmac('sha256', key).update(message).digest('hex')
      )
    }
  }
  const [salt, ikm, info] = [randomBytes(48), randomBytes(16), randomBytes(9)]
  for (const length of [12, 16, 32]) {
    t.equal(
      hex(expand(extract(salt, ikm), length, info)), hex(new Uint8Array(hkdfSync('sha256', ikm, salt, info, length)))
    )
  }
  t.throws(() => expand(salt, 33, info), RangeError)
  t.throws(() => hmacSha256(salt, new Uint8Array(513)), RangeError)
})

for (const vector of [X25519_AES_128_GCM, MLKEM768_X25519_CHACHA20]) {
  t.test(`the published vector of KEM 0x${vector.suite.kemId.toString(16)} is reproduced`, async t => {
    const { suite } = vector
    const keyPair = importKemKeyPair(suite.kemId, unhex(vector.skRm))
    t.ok(hex(keyPair.publicKey).endsWith(vector.pkRm))
    t.equal(hex(deriveKemKeyPair(suite.kemId, unhex(vector.ikmR)).publicKey), hex(keyPair.publicKey))
    const secret = keyPair.decapsulate(unhex(vector.enc))
    t.equal(hex(secret), vector.sharedSecret)
    const recipient = createRecipientFactory(suite, unhex(vector.info))(secret)
    for (const [aad, ciphertext] of vector.encryptions) {
      t.equal(hex(recipient.open(unhex(ciphertext), unhex(aad))), vector.plaintext)
    }
    for (const [context, exported] of vector.exports) t.equal(hex(recipient.export(unhex(context), 32)), exported)
  })
}

for (const [kemId, kem] of KEMS) {
  for (const [aeadId, aead] of AEADS) {
    t.test(`hpke seals and we open: KEM ${kemId}, AEAD ${aeadId}`, async t => {
      const ours = generateKemKeyPair(kemId)
      const info = randomBytes(30)
      const suite = new hpke.CipherSuite(kem, hpke.KDF_HKDF_SHA256, aead)
      const { encapsulatedSecret, ctx } = await suite.SetupSender(
        await suite.DeserializePublicKey(ours.publicKey), { info }
      )
      const recipient = createRecipientFactory({ kemId, kdfId: 1, aeadId }, info)(ours.decapsulate(encapsulatedSecret))
      await sameMessages(t, recipient, async (plaintext, aad) => await ctx.Seal(plaintext, aad))
      t.equal(hex(recipient.export(info, 17)), hex(await ctx.Export(info, 17)))
    })
  }
}

for (const aeadId of AEAD_IDS) {
  t.test(`@hpke/core seals and we open: AEAD ${aeadId}`, async t => {
    const ours = generateKemKeyPair(0x20)
    const info = randomBytes(30)
    const suite = coreSuite(aeadId)
    const recipientPublicKey = await suite.kem.deserializePublicKey(ours.publicKey)
    const sender = await suite.createSenderContext({ recipientPublicKey, info })
    const recipient = createRecipientFactory({ kemId: 0x20, kdfId: 1, aeadId }, info)(
      ours.decapsulate(new Uint8Array(sender.enc))
    )
    await sameMessages(t, recipient, async (plaintext, aad) => new Uint8Array(await sender.seal(plaintext, aad)))
    t.equal(hex(recipient.export(info, 32)), hex(new Uint8Array(await sender.export(info, 32))))
  })
}

async function sameMessages (
  t: Test, recipient: Recipient, seal: (plaintext: Uint8Array, aad: Uint8Array) => Promise<Uint8Array>
): Promise<void> {
  for (const length of [0, 1, 1024, 16384]) {
    for (const aad of [NONE, Buffer.from('final')]) {
      const plaintext = randomBytes(length)
      const sealed = await seal(plaintext, aad)
      t.throws(() => recipient.open(sealed, Buffer.from('another')))
      t.equal(hex(recipient.open(sealed, aad)), hex(plaintext))
    }
  }
}

t.test('derived key pairs are those of hpke', async t => {
  for (const [kemId, kem] of KEMS) {
    const suite = new hpke.CipherSuite(kem, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES_128_GCM)
    for (const ikm of [randomBytes(32), randomBytes(77)]) {
      const { publicKey } = await suite.DeriveKeyPair(ikm)
      t.equal(hex(deriveKemKeyPair(kemId, ikm).publicKey), hex(await suite.SerializePublicKey(publicKey)))
    }
    t.throws(() => deriveKemKeyPair(kemId, new Uint8Array(31)), RangeError)
    t.throws(() => deriveKemKeyPair(kemId, new Uint8Array(257)), RangeError)
    t.throws(() => importKemKeyPair(kemId, new Uint8Array(31)), RangeError)
  }
  t.throws(() => generateKemKeyPair(0x10), RangeError)
  t.throws(() => deriveKemKeyPair(0x10, randomBytes(32)), RangeError)
})

t.test('algorithms that are not ours, and keys that do not fit, are refused', async t => {
  t.throws(() => createRecipientFactory({ kemId: 0x20, kdfId: 1, aeadId: 4 }, NONE), RangeError)
  t.throws(() => createAead(1, new Uint8Array(32)), RangeError)
  t.throws(() => createAead(1, new Uint8Array(16)).open(new Uint8Array(12), new Uint8Array(15), NONE), RangeError)
  const recipient = createRecipientFactory({ kemId: 0x20, kdfId: 1, aeadId: 1 }, NONE)(randomBytes(32))
  t.throws(() => recipient.export(NONE, 33), RangeError)
})

t.test('the nonce is the base, with the sequence in its last octets', async t => {
  const base = new Uint8Array(12).fill(0xff)
  const cases: [number, string][] = [
    [0, 'ff'.repeat(12)], [1, `${'ff'.repeat(11)}fe`], [0x1234, `${'ff'.repeat(10)}edcb`],
    [Number.MAX_SAFE_INTEGER, `${'ff'.repeat(5)}e0${'00'.repeat(6)}`]
  ]
  for (const [sequence, nonce] of cases) t.equal(hex(computeNonce(base, sequence)), nonce)
  t.throws(() => computeNonce(base, 2 ** 53), RangeError)
})

t.test('two fresh key pairs differ, and show no private key', async t => {
  for (const kemId of KEMS.keys()) {
    const [one, other] = [generateKemKeyPair(kemId), generateKemKeyPair(kemId)]
    t.not(hex(one.publicKey), hex(other.publicKey))
    t.strictSame(Object.keys(one).sort(), ['decapsulate', 'kemId', 'publicKey'])
  }
})

t.test('encapsulated keys that give an all-zero secret, or have a wrong length, are refused alike', async t => {
  // Points of small order: RFC 7748, section 6.1, and RFC 9180, section 7.1.4.
  const smallOrder = [
    '00'.repeat(32), `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ecffffff${'ff'.repeat(27)}7f`, `edffffff${'ff'.repeat(27)}7f`, `eeffffff${'ff'.repeat(27)}7f`
  ].map(unhex)
  const x25519 = generateKemKeyPair(0x20)
  const hybrid = generateKemKeyPair(0x647a)
  for (const point of smallOrder) {
    t.throws(() => x25519.decapsulate(point), DecapsulationError)
    t.throws(() => hybrid.decapsulate(Buffer.concat([new Uint8Array(1088), point])), DecapsulationError)
  }
  for (const length of [0, 31, 33, 1119, 1121]) {
    t.throws(() => x25519.decapsulate(new Uint8Array(length)), DecapsulationError)
    t.throws(() => hybrid.decapsulate(new Uint8Array(length)), DecapsulationError)
  }
})
