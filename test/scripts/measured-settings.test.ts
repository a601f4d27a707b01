// docs/attestation-settings.md is what scripts/measured-settings.ts makes of the settings, and what it says of them is
// so.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { configFrom } from '../../lib/config/config.ts'
import type { ConfigInput } from '../../lib/config/config.ts'
import { settings } from '../../lib/config/settings.ts'
import type { Setting } from '../../lib/config/settings.ts'
import { weaknesses } from '../../lib/config/weaknesses.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const all = Object.entries<Setting>(settings)

t.test('docs/attestation-settings.md is up to date, and has each setting once', async t => {
  const { status, stderr } = spawnSync(
    process.execPath, ['scripts/measured-settings.ts', '--check'], { cwd: root, encoding: 'utf8', env: {} }
  )
  t.equal(status, 0, stderr)
  const rows = readFileSync(`${root}/docs/attestation-settings.md`, 'utf8').match(/^\| `[^`]+`.*$/gm) ?? []
  for (const [, { env }] of all) t.equal(rows.filter(row => row.startsWith(`| \`${env}\``)).length, 1, env)
})

t.test('a setting that weakenings are said to show changes what is attested', async t => {
  const strict: ConfigInput = {
    workloadBaseUrl: 'https://workload.example', enableInputEncryption: true, enableOutputEncryption: true
  }
  const shared: ConfigInput = { ...strict, keyType: 'file', keyFile: '/key.pem', replayStore: 'redis://localhost' }
  const sealed: ConfigInput = { ...shared, hpkeSeed: 'sealed', hpkeSeedFile: '/seed' }
  const vault: ConfigInput = {
    ...strict,
    keyType: 'azure-key-vault',
    azureVaultUrl: 'https://v.vault.azure.net',
    azureVaultKey: 'k',
    azureMaaEndpoint: 'm.attest.azure.net'
  }
  const files: ConfigInput = { ...strict, tls: 'files', tlsCertFile: '/cert.pem', tlsKeyFile: '/key.pem' }
  const pairs: Readonly<Record<string, readonly [ConfigInput, ConfigInput]>> = {
    enableInputEncryption: [strict, { ...strict, enableInputEncryption: false }],
    workloadTlsVerify: [strict, { ...strict, workloadTlsVerify: false }],
    keyType: [strict, shared],
    azureVaultMode: [vault, { ...vault, azureVaultMode: 'remote' }],
    hpkeSeed: [shared, sealed],
    tlsFilesSuffice: [files, { ...files, tlsFilesSuffice: true }],
    usage: [strict, { ...strict, usage: 'on' }],
    hpkeSeedFileSha256: [{ ...sealed, hpkeSeedFileSha256: 'ab'.repeat(32) }, sealed],
    v1ReplayProtection: [strict, { ...strict, v1ReplayProtection: false }],
    v1ReplayWindow: [{ ...shared, enableV1: false }, shared],
    v1AllowUnboundResponseKey: [strict, { ...strict, v1AllowUnboundResponseKey: true }]
  }
  t.same(
    all.filter(([, { shownBy }]) => shownBy === 'weakenings').map(([name]) => name).sort(), Object.keys(pairs).sort()
  )
  const codes = (config: ConfigInput) => weaknesses(configFrom(config)).map(({ code }) => code)
  for (const [name, [before, after]] of Object.entries(pairs)) t.notSame(codes(after), codes(before), name)
})

t.test('every setting that names files is marked', async t => {
  const named = all.filter(
    ([name, { type }]) => type === 'string' && /File$|Endorsements$|ClientCa$/.test(name)
  ).map(([name]) => name)
  t.same(all.filter(([, { isFile }]) => isFile).map(([name]) => name).sort(), named.sort())
})
