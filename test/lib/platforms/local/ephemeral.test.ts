/** Keys that are made at start and live in memory only. */
import { constants, createHash, createPublicKey, publicEncrypt } from 'node:crypto'
import t from 'tap'
import { createEphemeralProvider } from '../../../../lib/platforms/local/ephemeral-keys.ts'
import { KeysBusyError, UnwrapError } from '../../../../lib/keys/provider.ts'

const wrap = (pem: string, secret: string) =>
  publicEncrypt({ key: pem, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, Buffer.from(secret))

t.test('the key is an RSA-4096 key, named after its SPKI, and opens what is wrapped to it', async t => {
  const provider = createEphemeralProvider()
  t.same(provider.status(), { ready: false, reason: 'generating the key' })
  t.same(provider.publicKeys(), [])
  await t.rejects(provider.unwrap('any', new Uint8Array(512)), KeysBusyError)

  await provider.ready
  t.same(provider.status(), { ready: true })
  const [key, ...others] = provider.publicKeys()
  if (key === undefined) throw new Error('no key')
  t.same(others, [])
  const spki = createPublicKey(key.pem)
  t.equal(spki.asymmetricKeyDetails?.modulusLength, 4096)
  const digest = createHash('sha256').update(spki.export({ format: 'der', type: 'spki' })).digest('base64url')
  t.equal(key.keyId, digest.slice(0, 16))
  t.equal(Buffer.from(await provider.unwrap(key.keyId, wrap(key.pem, 'secret'))).toString(), 'secret')

  await t.rejects(provider.unwrap('other', wrap(key.pem, 'secret')), UnwrapError)
  await provider.refresh()
  t.same(provider.publicKeys(), [key], 'a refresh changes nothing')
  t.equal(provider.remote, false)
  t.equal(provider.deriveSecret, undefined)

  await provider.close()
  t.equal(provider.status().ready, false)
  await t.rejects(provider.unwrap(key.keyId, wrap(key.pem, 'secret')), KeysBusyError)
})

t.test('every provider makes its own key', async t => {
  const providers = [1, 2].map(() => createEphemeralProvider({ modulusLength: 2048 }))
  await Promise.all(providers.map(({ ready }) => ready))
  t.not(providers[0]?.publicKeys()[0]?.keyId, providers[1]?.publicKeys()[0]?.keyId)
})

t.test('a key that cannot be made rejects ready and is told by the status', async t => {
  const provider = createEphemeralProvider({ modulusLength: 1 })
  await t.rejects(provider.ready)
  t.same(provider.status(), { ready: false, reason: 'could not generate the key' })
})
