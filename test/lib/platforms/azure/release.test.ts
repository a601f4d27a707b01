/** Releases of Azure Key Vault: what the vault sent is opened, and nothing that was cut or changed. */
import { generateKeyPairSync } from 'node:crypto'
import { KeyClient } from '@azure/keyvault-keys'
import fc from 'fast-check'
import t from 'tap'
import { openRelease } from '../../../../lib/platforms/azure/release.ts'
import { RemoteError } from '../../../../lib/remote/error.ts'
import { startVault } from '../../../fixtures/key-vault.ts'
import { rsaKey } from '../../../fixtures/rsa.ts'

const key = rsaKey()
const wrapping = generateKeyPairSync('rsa', { modulusLength: 2048 })
const vault = await startVault()
t.teardown(() => vault.close())
vault.tokens.add('token')
vault.versions.set('v1', { key, enabled: true })

const client = new KeyClient(vault.url, {
  getToken: async () => ({ token: 'token', expiresOnTimestamp: Date.now() + 3_600_000 })
}, {
  disableChallengeResourceVerification: true, tlsOptions: { ca: vault.ca }
})
const runtime = { keys: [wrapping.publicKey.export({ format: 'jwk' })] }
const target = `e30.${Buffer.from(JSON.stringify(runtime)).toString('base64url')}.c2ln`
const { value: jws } = await client.releaseKey('proxy', target, { nonce: 'nonce' })
const expected = { host: 'localhost', key: 'proxy', version: 'v1', nonce: 'nonce', trustAnchors: [vault.ca] }

/** Whether it is refused with the one error that there is for it. */
async function isRefused (text: string): Promise<boolean> {
  return openRelease(text, wrapping.privateKey, expected).then(
    () => false, (error: unknown) => error instanceof RemoteError
  )
}

t.test('what the vault sent is opened, and only what was asked for', async t => {
  t.ok((await openRelease(jws, wrapping.privateKey, expected)).equals(key.privateKey))
  const others = [
    { host: 'elsewhere' }, { key: 'other' }, { version: 'v2' }, { nonce: 'other' }, { trustAnchors: [] },
    { trustAnchors: undefined }
  ]
  for (const other of others) {
    await t.rejects(
      openRelease(jws, wrapping.privateKey, { ...expected, ...other }), RemoteError, JSON.stringify(other)
    )
  }
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await t.rejects(
    openRelease(jws, stranger.privateKey, expected), { code: 'ERR_REMOTE', providerCode: 'RELEASE_UNWRAP' }
  )
})

t.test('cut short anywhere, it is refused', async t => {
  let opened = 0
  for (let length = 0; length < jws.length; length++) if (!await isRefused(jws.slice(0, length))) opened++
  t.equal(opened, 0, `${jws.length} lengths`)
})

t.test('whatever is changed in it, it is refused', async t => {
  // The last character of a base64url part may have bits that do not count.
  const last = new Set([...jws.matchAll(/\.|$/g)].map(({ index }) => index - 1))
  await fc.assert(fc.asyncProperty(fc.nat(jws.length -
    1), fc.constantFrom(...'ABz09-_.= \n\0é'), async (at, character) => {
    fc.pre(jws[at] !== character && !last.has(at))
    return isRefused(jws.slice(0, at) + character + jws.slice(at + 1))
  }), { numRuns: 500 })
})

t.test('what is no release at all is refused', async () => {
  await fc.assert(fc.asyncProperty(fc.oneof(fc.string(), fc.json()), isRefused), { numRuns: 300 })
})
