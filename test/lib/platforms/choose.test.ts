/** Every setting of a key type reaches its provider. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { configFrom } from '../../../lib/config/config.ts'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { keyProviderFrom } from '../../../lib/platforms/choose.ts'
import { createLog } from '../../fixtures/log.ts'
import { rsaKey } from '../../fixtures/rsa.ts'
import { oddAnswers, startSidecar } from '../../fixtures/skr-sidecar.ts'

const [first, second] = [rsaKey(), rsaKey()] as const

async function provide (t: Test, input: ConfigInput) {
  const log = createLog()
  const provider = await keyProviderFrom(configFrom({ workloadBaseUrl: 'http://127.0.0.1:9', ...input }), log)
  t.teardown(() => provider.close())
  return { provider, log }
}

const idsOf = (
  { publicKeys }: { publicKeys (): readonly { keyId: string }[] }
) => publicKeys().map(({ keyId }) => keyId)

t.test('ephemeral', async t => {
  const { provider } = await provide(t, {})
  await provider.ready
  t.equal(provider.publicKeys().length, 1)
  t.equal(provider.deriveSecret, undefined)
})

t.test('file: several paths, newest first', async t => {
  const directory = t.testdir()
  const paths = [first, second].map((key, i) => {
    const path = join(directory, `${i}.pem`)
    writeFileSync(path, key.privatePem, { mode: 0o400 })
    return path
  })
  const { provider } = await provide(t, { keyType: 'file', keyFile: ` ${paths.join(' , ')},` })
  await provider.ready
  t.same(idsOf(provider), [first.keyId, second.keyId])
  t.equal(provider.remote, false)
})

t.test('the fetch deadline ends the wait', async t => {
  const { provider } = await provide(
    t, { keyType: 'file', keyFile: join(t.testdir(), 'missing'), keyFetchDeadline: '1ms' }
  )
  await t.rejects(provider.ready)
  t.match(provider.status(), { ready: false, reason: /cannot be read/ })
})

t.test('azure-skr', async t => {
  const sidecar = await startSidecar({ proxy: first, 'proxy/1': second })
  t.teardown(() => sidecar.close())
  const settings: ConfigInput = {
    keyType: 'azure-skr',
    azureSidecarEndpoint: sidecar.url,
    azureMaaEndpoint: 'https://maa.example',
    azureAkvEndpoint: 'https://vault.example',
    azureKid: 'proxy, proxy/1',
    azureEndpointForm: 'host',
    azureAccessToken: 'token'
  }
  const { provider, log } = await provide(t, settings)
  await provider.ready
  t.same(idsOf(provider), [first.keyId, second.keyId])
  const asked = { maa_endpoint: 'maa.example', akv_endpoint: 'vault.example', access_token: 'token' }
  t.match(sidecar.requests.map(({ body }) => body), [{ ...asked, kid: 'proxy' }, { ...asked, kid: 'proxy/1' }])
  t.same(log.leaked(['token']), [])

  await t.test('the retries of the original replace the usual ones', async t => {
    for (const [given, attempts, pause] of [
      [{ azureMaxRequestRetries: 2, azureRetryInterval: '5ms' }, 3, 5],
      [{ azureRetryInterval: '7ms' }, 6, 7]
    ] as const) {
      sidecar.odd.push(...Array(attempts).fill(oddAnswers.vaultForbids))
      const { provider, log } = await provide(t, { ...settings, ...given })
      await t.rejects(provider.ready)
      const told = log.lines.filter(({ details }) => 'attempt' in details)
      t.equal(told.length, attempts)
      t.match(told.slice(0, -1).map(({ details }) => details['retryIn']), Array(attempts - 1).fill(pause))
      sidecar.odd.length = 0
    }
    sidecar.odd.push(oddAnswers.vaultForbids)
    const { provider, log } = await provide(t, { ...settings, azureMaxRequestRetries: 1 })
    while (log.lines.length === 0) await setTimeout(5)
    t.match(log.lines[0]?.details, { attempt: 1, retryIn: 60_000 })
    await provider.close()
  })
})

t.test('keys that stay elsewhere are remote', async t => {
  const google = await provide(t, {
    keyType: 'google-federated',
    googleProject: 'p',
    googleLocation: 'l',
    googleKeyRing: 'r',
    googleKey: 'k',
    googleAudience: '//iam.googleapis.com/x',
    googleTokenFile: join(t.testdir(), 'missing')
  })
  const vault: ConfigInput = {
    keyType: 'azure-key-vault',
    azureVaultUrl: 'https://127.0.0.1:9',
    azureVaultKey: 'k',
    azureMaaEndpoint: '127.0.0.1:9',
    azureSidecarEndpoint: 'http://127.0.0.1:9',
    azureCredential: 'environment'
  }
  const release = await provide(t, vault)
  const remote = await provide(t, { ...vault, azureVaultMode: 'remote' })
  t.same([google, release, remote].map(({ provider }) => provider.remote), [true, false, true])
  t.same([google, release, remote].map(({ provider }) => provider.deriveSecret !== undefined), [false, true, false])
})
