/** Key settings that cannot work together are told at start, all at once. */
import t from 'tap'
import { ConfigError, configFrom } from '../../../lib/config/config.ts'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { weaknesses } from '../../../lib/config/weaknesses.ts'

function problems (input: ConfigInput): string[] {
  try {
    configFrom({ workloadBaseUrl: 'http://127.0.0.1:9', replayStore: 'redis://127.0.0.1', ...input })
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(problem => problem.replaceAll('POLARIS_CONTAINER_', ''))
    throw error
  }
  return []
}

const needs = (names: readonly string[], why: string) => names.map(name => `${name} is required if ${why}`)

const google: ConfigInput = {
  keyType: 'google-federated',
  googleProject: 'p',
  googleLocation: 'l',
  googleKeyRing: 'r',
  googleKey: 'k',
  googleAudience: '//iam.googleapis.com/x'
}
const vault: ConfigInput = {
  keyType: 'azure-key-vault', azureVaultUrl: 'https://v.example', azureVaultKey: 'k', azureMaaEndpoint: 'maa.example'
}
const skr: ConfigInput = {
  keyType: 'azure-skr', azureMaaEndpoint: 'maa.example', azureAkvEndpoint: 'v.example', azureKid: 'k'
}
const file: ConfigInput = { keyType: 'file', keyFile: '/key.pem' }
const remote: ConfigInput = { ...vault, azureVaultMode: 'remote', azureMaaEndpoint: undefined }

t.test('every setting that a key type cannot do without is named', async t => {
  const cases: Array<[ConfigInput, string[]]> = [
    [{ keyType: 'file' }, needs(['KEY_FILE'], 'KEY_TYPE is file')],
    [{ keyType: 'file', keyFile: ' , ' }, needs(['KEY_FILE'], 'KEY_TYPE is file')],
    [
      { keyType: 'azure-skr' },
      needs(['AZURE_SKR_MAA_ENDPOINT', 'AZURE_SKR_AKV_ENDPOINT', 'AZURE_SKR_KID'], 'KEY_TYPE is azure-skr')
    ],
    [{ keyType: 'azure-key-vault' }, [
      ...needs(['AZURE_KEY_VAULT_URL', 'AZURE_KEY_VAULT_KEY'], 'KEY_TYPE is azure-key-vault'),
      ...needs(['AZURE_SKR_MAA_ENDPOINT'], 'AZURE_KEY_VAULT_MODE is release')
    ]],
    [
      { keyType: 'azure-key-vault', azureVaultMode: 'remote' },
      needs(['AZURE_KEY_VAULT_URL', 'AZURE_KEY_VAULT_KEY'], 'KEY_TYPE is azure-key-vault')
    ],
    [{ keyType: 'google-federated' }, needs(
      [
        'KEY_PROJECT_ID', 'KEY_LOCATION', 'KEY_RING_ID', 'KEY_ID', 'KEY_AUDIENCE'
      ].map(name => `GOOGLE_FEDERATED_${name}`), 'KEY_TYPE is google-federated')]
  ]
  for (const [input, expected] of cases) t.same(problems(input), expected, JSON.stringify(input))
})

t.test('they are told together with all else that is wrong', async t => {
  const found = problems({ keyType: 'azure-skr', azureKid: 'k', hpkeSeed: 'sealed', port: 'hunter2' })
  t.same(
    found.map(problem => problem.split(' ', 1)[0]),
    ['PORT', 'AZURE_SKR_MAA_ENDPOINT', 'AZURE_SKR_AKV_ENDPOINT', 'HPKE_SEED_FILE']
  )
  t.notMatch(found.join(), 'hunter2')
})

t.test('HPKE seeds are accepted where the key type can serve them, and nowhere else', async t => {
  const sealed: ConfigInput = { hpkeSeed: 'sealed', hpkeSeedFile: '/shared/seed' }
  for (const keys of [{}, file, skr, vault, remote, google]) t.same(problems({ ...keys, hpkeSeed: 'instance' }), [])
  for (const keys of [file, skr, vault]) t.same(problems({ ...keys, hpkeSeed: 'derived' }), [])
  for (const keys of [file, skr, vault, remote, google]) t.same(problems({ ...keys, ...sealed }), [])

  const notInMemory = ['HPKE_SEED cannot be derived if the private key is not in memory; sealed can']
  for (const keys of [remote, google]) t.same(problems({ ...keys, hpkeSeed: 'derived' }), notInMemory)
  const alone = ['HPKE_SEED can only be instance if KEY_TYPE is ephemeral: no other instance has that key']
  t.same(problems({ hpkeSeed: 'derived' }), alone)
  t.same(problems(sealed), alone)
  t.same(problems({ ...file, hpkeSeed: 'sealed' }), needs(['HPKE_SEED_FILE'], 'HPKE_SEED is sealed'))
})

t.test('keys that replicas share, or that live longer than a process, need a replay store that does so, ' +
  'too', async t => {
  const derived: ConfigInput = { ...file, hpkeSeed: 'derived' }
  const sealed: ConfigInput = { ...remote, hpkeSeed: 'sealed', hpkeSeedFile: '/shared/seed' }
  for (const keys of [derived, sealed]) {
    t.match(
      problems({ ...keys, replayStore: 'memory' }),
      [/^REPLAY_STORE must be a store that all replicas share if HPKE_SEED is/]
    )
    t.same(problems({ ...keys, replayStore: 'memory', enableOhttp: false }), [])
  }
  t.same(problems({ ...file, hpkeSeed: 'instance', replayStore: 'memory' }), [])
})

t.test('a seed file that is pinned is no weakness, and a pin is a hash', async t => {
  const sealed: ConfigInput = {
    workloadBaseUrl: 'http://127.0.0.1:9',
    replayStore: 'redis://127.0.0.1',
    ...file,
    hpkeSeed: 'sealed',
    hpkeSeedFile: '/shared/seed'
  }
  const chosen = (input: ConfigInput) =>
    weaknesses(configFrom(input)).filter(({ code }) => code === 'seed-file-not-pinned')
  t.equal(chosen(sealed).length, 1)
  t.same(chosen({ ...sealed, hpkeSeedFileSha256: 'ab'.repeat(32) }), [])
  for (const pin of ['ab', 'xy'.repeat(32), `sha256:${'ab'.repeat(32)}`]) {
    t.match(problems({ ...sealed, hpkeSeedFileSha256: pin }), [/^HPKE_SEED_FILE_SHA256 has a value/])
  }
})
