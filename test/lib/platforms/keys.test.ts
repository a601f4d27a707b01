import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '../../fixtures/log.ts'
import { rsaKey } from '../../fixtures/rsa.ts'

t.test('the vendors\' libraries are loaded only by the provider that needs them', async (t) => {
  const loaded: string[] = []
  const hooks = registerHooks({
    resolve (specifier, context, next) {
      const resolved = next(specifier, context)
      loaded.push(resolved.url)
      return resolved
    }
  })
  t.teardown(() => hooks.deregister())
  const libraries = () => loaded.filter((url) => /node_modules/.test(url))

  const { createKeyProvider } = await import('../../../lib/platforms/keys.ts')
  const path = join(t.testdir(), 'key.pem')
  writeFileSync(path, rsaKey().privatePem, { mode: 0o400 })
  const providers = [
    await createKeyProvider('ephemeral', { modulusLength: 2048 }, createLog()),
    await createKeyProvider('file', { paths: [path] }, createLog())
  ]
  for (const provider of providers) {
    await provider.ready
    t.same(provider.status(), { ready: true })
    await provider.close()
  }
  t.same(libraries(), [])

  const vault = await createKeyProvider('azure-key-vault', { vaultUrl: 'https://localhost:1', key: 'key' }, createLog())
  t.ok(libraries().some((url) => url.includes('@azure/keyvault-keys')))
  t.notOk(libraries().some((url) => url.includes('@google-cloud')))
  await t.rejects(vault.ready)
  await vault.close()
})
