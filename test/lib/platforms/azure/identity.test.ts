/** The other ways in which the proxy identifies itself towards Azure, up to an answer of the vault. */
import { chmodSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { AzureKeyVaultOptions } from '../../../../lib/platforms/azure/key-vault.ts'
import { createAzureKeyVaultProvider } from '../../../../lib/platforms/azure/key-vault.ts'
import { setEnvironment, startEntra } from '../../../fixtures/entra.ts'
import { startVault } from '../../../fixtures/key-vault.ts'
import { createLog } from '../../../fixtures/log.ts'
import { startManagedIdentity } from '../../../fixtures/managed-identity.ts'
import { rsaKey, wrap } from '../../../fixtures/rsa.ts'

const log = createLog()
const key = rsaKey()
const vault = await startVault()
const identity = await startManagedIdentity(token => vault.tokens.add(token), 'imds')
vault.versions.set('v1', { key, enabled: true })
t.teardown(() => Promise.all([vault.close(), identity.close()]))

async function provide (t: Test, options: Partial<AzureKeyVaultOptions>) {
  const provider = await createAzureKeyVaultProvider({
    vaultUrl: vault.url,
    key: 'proxy',
    mode: 'remote',
    retry: { firstDelay: 1, maxDelay: 2, deadline: 0 },
    clientOptions: { disableChallengeResourceVerification: true, tlsOptions: { ca: vault.ca } },
    ...options
  }, log)
  t.teardown(() => provider.close())
  return provider
}

t.test('a managed identity by the instance metadata service, as container groups and virtual machines ' +
  'have', async t => {
  const provider = await provide(t, { clientId: 'assigned' })
  await provider.ready
  t.equal(Buffer.from(await provider.unwrap(key.keyId, wrap(key.publicKey, 'secret'))).toString(), 'secret')
  t.equal(identity.issued.length, 1, 'a token is used again while it is good')
})

t.test('a managed identity that is not there', async t => {
  const provider = await provide(t, { clientId: 'unknown' })
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'refused' })
  t.match(log.lines.at(-1), { level: 'error', message: /Assign the identity/ })
})

t.test('azure-cli, for development', async t => {
  const token = 'eyJ.azure-cli-token'
  vault.tokens.add(token)
  const directory = t.testdir()
  const az = join(directory, 'az')
  const answer = { accessToken: token, expires_on: Math.floor(Date.now() / 1000) + 3600, tokenType: 'Bearer' }
  writeFileSync(az, `#!/bin/sh\ncat <<'END'\n${JSON.stringify(answer)}\nEND\n`)
  chmodSync(az, 0o700)
  const { PATH } = process.env
  process.env.PATH = `${directory}${delimiter}${PATH}`
  t.teardown(() => { process.env.PATH = PATH })
  const provider = await provide(t, { credential: 'azure-cli' })
  await provider.ready
  t.match(provider.publicKeys(), [{ keyId: key.keyId }])
  t.same(log.leaked([token, ...identity.issued]), [])
})

for (const [credential, variables, proof] of [
  [
    'workload-identity', (directory: string) => ({ AZURE_FEDERATED_TOKEN_FILE: join(directory, 'token') }),
    { client_assertion: 'the-pod-s-token' }
  ],
  ['environment', () => ({ AZURE_CLIENT_SECRET: 'the-client-s-secret' }), { client_secret: 'the-client-s-secret' }]
] as const) {
  t.test(`${credential}, which Entra ID gives a token`, async t => {
    const directory = t.testdir({ token: 'the-pod-s-token' })
    const entra = await startEntra(t, token => vault.tokens.add(token))
    // A tenant of this name is served by the authority that is named, and by no other.
    setEnvironment(t, {
      AZURE_TENANT_ID: 'adfs', AZURE_CLIENT_ID: 'the-client', AZURE_AUTHORITY_HOST: entra.url, ...variables(directory)
    })
    const provider = await provide(t, { credential })
    await provider.ready
    t.match(provider.publicKeys(), [{ keyId: key.keyId }])
    t.match(entra.asked, [
      { client_id: 'the-client', grant_type: 'client_credentials', scope: 'https://vault.azure.net/.default', ...proof }
    ])
    t.same(log.leaked([...Object.values(proof), ...entra.issued]), [])
  })
}

t.test('an environment that names no identity', async t => {
  const provider = await provide(t, { credential: 'environment' })
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'refused', providerCode: 'CredentialUnavailableError' })
})
