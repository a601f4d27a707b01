/** The vendors' libraries, which are large, are loaded only by the key type that needs them. */
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '../../fixtures/log.ts'
import { rsaKey } from '../../fixtures/rsa.ts'

t.test('the vendors\' libraries are loaded only by the key type that needs them', async t => {
  const loaded: string[] = []
  const hooks = registerHooks({
    resolve (specifier, context, next) {
      const resolved = next(specifier, context)
      loaded.push(resolved.url)
      return resolved
    }
  })
  t.teardown(() => hooks.deregister())
  const vendors = () => loaded.filter(url => /node_modules\/(@azure|@google-cloud|google-auth-library|jose)/.test(url))

  const { configFrom } = await import('../../../lib/config/config.ts')
  const { keyProviderFrom } = await import('../../../lib/platforms/choose.ts')
  const provide = async (input: Parameters<typeof configFrom>[0]) =>
    keyProviderFrom(configFrom({ workloadBaseUrl: 'http://127.0.0.1:9', ...input }), createLog())
  const path = join(t.testdir(), 'key.pem')
  writeFileSync(path, rsaKey().privatePem, { mode: 0o400 })
  for (const provider of [await provide({}), await provide({ keyType: 'file', keyFile: path })]) {
    await provider.ready
    t.same(provider.status(), { ready: true })
    await provider.close()
  }
  t.same(vendors(), [])

  const vault = await provide({
    keyType: 'azure-key-vault',
    azureVaultUrl: 'https://localhost:1',
    azureVaultKey: 'key',
    azureVaultMode: 'remote',
    azureCredential: 'environment',
    keyFetchDeadline: 0
  })
  t.ok(vendors().some(url => url.includes('@azure/keyvault-keys')))
  t.notOk(vendors().some(url => url.includes('@google-cloud')))
  await t.rejects(vault.ready)
  await vault.close()
})
