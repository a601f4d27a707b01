/** PolarisSDK seals and opens Polaris v1 messages, also with node:crypto on the other side. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { EphemeralKeyHandler, PolarisSDK } from '../../../sdk/index.ts'
import { NodeKeyHandler } from '../../fixtures/sdk-client.ts'
import { openV1, sealV1 } from '../../fixtures/v1-gateway.ts'
import { ABSENT, loadVectors } from '../../fixtures/vectors.ts'
import type { PolarisV1Vectors } from '../../fixtures/vectors.ts'

const vectors = loadVectors<PolarisV1Vectors>('polaris-v1.json')

t.test('what is encrypted to an ephemeral key opens with it, in Buffers as the original returns them', async t => {
  const sdk = new PolarisSDK(new EphemeralKeyHandler())
  const publicKey = await sdk.getPublicKey()
  t.match(publicKey, /^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END PUBLIC KEY-----\n$/)
  t.equal(await sdk.getPublicKey(), publicKey, 'the key stays the same')

  for (const data of [Buffer.from('grüße'), 'grüße', new TextEncoder().encode('grüße').buffer]) {
    const message = await sdk.encrypt(data, publicKey)
    t.ok(Buffer.isBuffer(message))
    const plaintext = await sdk.decrypt(message)
    t.ok(Buffer.isBuffer(plaintext))
    t.equal(plaintext.toString(), 'grüße')
    t.equal((await sdk.decrypt(Buffer.from(message).toString('base64'))).toString(), 'grüße', 'also from base64 text')
  }

  const key = Buffer.alloc(32, 7)
  t.same(await sdk.unwrapKey(await sdk.wrapKey(key, publicKey)), key)
})

t.test('messages go both ways between the client and node:crypto', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 3072 })
  const sdk = new PolarisSDK(new NodeKeyHandler(privateKey))
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  t.equal(openV1(await sdk.encrypt('to the proxy', pem), privateKey).toString(), 'to the proxy')
  t.equal((await sdk.decrypt(sealV1(Buffer.from('to the client'), pem))).toString(), 'to the client')
})

t.test('recorded responses open with the recorded client key', { skip: vectors ? false : ABSENT }, async t => {
  const sdk = new PolarisSDK(new NodeKeyHandler(createPrivateKey(vectors?.keys.client.privatePem ?? '')))
  for (const { name, referenceResponse } of vectors?.requests ?? []) {
    t.equal(
      Buffer.from(await sdk.decrypt(referenceResponse.bodyText)).toString('base64'), referenceResponse.plaintext, name
    )
  }
})

t.test('a message that is no message, or for another key, is refused in one way', async t => {
  const sdk = new PolarisSDK(new NodeKeyHandler())
  const other = await new NodeKeyHandler().getPublicKey()
  const refusal = { name: 'MessageError', code: 'ERR_POLARIS_V1_MESSAGE', message: 'The message cannot be opened' }
  for (const message of ['', '*', 'AAAA', Buffer.from('no'), await sdk.encrypt('x', other)]) {
    await t.rejects(sdk.decrypt(message), refusal)
  }
})

t.test('only RSA public keys of the known sizes are encrypted to', async t => {
  const sdk = new PolarisSDK(new NodeKeyHandler())
  const pem = (type: 'rsa' | 'ec', options: object) => {
    const { publicKey } = type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 1024, ...options })
      : generateKeyPairSync('ec', { namedCurve: 'P-256', ...options })
    return publicKey.export({ type: 'spki', format: 'pem' }).toString()
  }
  const cases: Record<string, string> = {
    'no PEM': 'MIIB',
    'a certificate': '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
    'no base64': '-----BEGIN PUBLIC KEY-----\n*\n-----END PUBLIC KEY-----',
    'RSA-1024': pem('rsa', {}),
    'an elliptic curve': pem('ec', {})
  }
  for (const [name, key] of Object.entries(cases)) {
    await t.rejects(sdk.encrypt('x', key), { name: 'PublicKeyError', code: 'ERR_POLARIS_PUBLIC_KEY' }, name)
  }
})

t.test('keys are remembered, but not without bound', async t => {
  const sdk = new PolarisSDK(new NodeKeyHandler())
  const pem = await sdk.getPublicKey()
  for (let i = 0; i < 100; i++) t.equal((await sdk.wrapKey(Buffer.alloc(32), pem + ' '.repeat(i))).length, 256)
})
