/**
 * Key Vault's release without a sidecar, from the kernel's report to a request that is opened: a directory that behaves
 * like configfs, a stand-in for Azure Attestation that checks what it is sent, and the vendor's client of Key Vault.
 */
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { azureAttest } from '../../../../lib/platforms/azure/maa-direct.ts'
import type { AzureAttestOptions } from '../../../../lib/platforms/azure/maa-direct.ts'
import { createAzureKeyVaultProvider } from '../../../../lib/platforms/azure/key-vault.ts'
import type { KeyLog } from '../../../../lib/keys/rsa/key-versions.ts'
import { startVault } from '../../../fixtures/key-vault.ts'
import { createLog } from '../../../fixtures/log.ts'
import { startMaa } from '../../../fixtures/maa.ts'
import { startManagedIdentity } from '../../../fixtures/managed-identity.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { rsaKey, secretsOf, wrap } from '../../../fixtures/rsa.ts'
import { startSidecar } from '../../../fixtures/skr-sidecar.ts'
import { snpMachine } from '../../../fixtures/snp-machine.ts'
import { v1Client } from '../../../fixtures/v1-client.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const log = createLog()
const key = rsaKey()
const machine = await snpMachine()
const maa = await startMaa(machine.root)
const vault = await startVault()
const identity = await startManagedIdentity(token => vault.tokens.add(token))
const HOST_DATA = 'bb'.repeat(32)
setDefaultCACertificates([...getCACertificates(), maa.ca, vault.ca])

t.teardown(() => Promise.all([machine.close(), maa.close(), vault.close(), identity.close()]))
vault.versions.set('v1', { key, enabled: true })
t.beforeEach(() => {
  maa.faults.length = maa.tokens.length = maa.objections.length = vault.requests.length = log.lines.length = 0
  machine.auxblob = machine.table
  // As a release policy: the token is of this authority, and names the containers that may have the key.
  vault.policy = token => maa.claims(token)?.['x-ms-sevsnpvm-hostdata'] === HOST_DATA
})

function provide (options: Partial<AzureAttestOptions> = {}, deadline?: number, to: KeyLog = log) {
  return createAzureKeyVaultProvider({
    vaultUrl: vault.url,
    key: 'proxy',
    attest: azureAttest({ maaEndpoint: maa.host, tsmReports: machine.path, ...options }),
    retry: { firstDelay: 1, maxDelay: 2, ...deadline !== undefined && { deadline } },
    concurrency: 1,
    clientOptions: { disableChallengeResourceVerification: true }
  }, to)
}

async function failing (t: Test, options: Partial<AzureAttestOptions> = {}) {
  const provider = await provide(options, 0)
  t.teardown(() => provider.close())
  return provider.ready.then(() => undefined, (error: unknown) => error)
}

t.test('the kernel\'s report brings the key, and requests are opened with it', async t => {
  const workload = await startWorkload(t)
  const provider = await provide()
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true },
    { keyProvider: provider }
  )
  t.equal((await fetch(`${proxy.url}/polaris-container/readyz`)).status, 200)
  const client = await v1Client(proxy.url)
  const response = await fetch(
    proxy.url, { method: 'POST', ...await client.request({ target: '/secret?q=1', body: 'plaintext' }) }
  )
  t.equal(response.status, 200)
  t.match(
    JSON.parse((await client.open(response)).toString()),
    { method: 'POST', url: '/secret?q=1', body: Buffer.from('plaintext').toString('base64') }
  )

  t.same(maa.objections, [])
  t.same(vault.requests, ['POST /keys/proxy/release'])
  t.match(provider.publicKeys(), [{ keyId: key.keyId }])
  t.same(await machine.entries(), [], 'nothing is left behind in configfs')
  await provider.refresh()
  const wrappingKeys = maa.tokens.map(token => JSON.stringify(maa.claims(token)?.['x-ms-runtime']))
  t.equal(new Set(wrappingKeys).size, 2, 'each release has a key of its own')
  const written = proxy.log.join('')
  for (const secret of [...maa.tokens, ...identity.issued, ...secretsOf(key.privateKey), 'plaintext', '/secret']) {
    t.notOk(written.includes(secret))
  }
})

t.test('a slow start is waited out: the service, then the vault\'s policy', async t => {
  let refusals = 10
  const policy = vault.policy
  vault.policy = token => refusals-- <= 0 && policy?.(token) === true
  maa.faults.push(
    { status: 503 }, { status: 400, body: '{"error":{"code":"PolicyEvaluationError"}}' }, 'truncate', 'other'
  )
  const provider = await provide()
  t.teardown(() => provider.close())
  await provider.ready
  t.equal(Buffer.from(await provider.unwrap(key.keyId, wrap(key.publicKey, 'secret'))).toString(), 'secret')
  t.match(log.lines.slice(0, 4).map(({ level, details: { kind, providerCode } }) => [level, kind, providerCode]), [
    ['warn', 'transient', 'HTTP_503'], ['error', 'refused', 'PolicyEvaluationError'],
    ['warn', 'transient', 'ECONNRESET'], ['warn', 'transient', 'OTHER_TOKEN']
  ])
  t.match(
    log.lines.slice(4, 14), Array(10).fill({ details: { providerCode: 'ForbiddenByPolicy' }, message: /host data/ })
  )
  t.same(log.leaked([...maa.tokens, ...identity.issued, ...secretsOf(key.privateKey)]), [])
})

t.test('what keeps the machine from attesting is told with what to do', async t => {
  maa.faults.push({ status: 429, headers: { 'retry-after': '9' } })
  t.match(await failing(t), { kind: 'transient', providerCode: 'HTTP_429', retryAfter: 9, advice: /your own provider/ })
  machine.auxblob = undefined
  t.match(await failing(t), { kind: 'refused', providerCode: 'NO_CERTIFICATES', advice: /CERTIFICATES_FILE/ })
  const outblob = machine.outblob
  machine.outblob = () => Buffer.alloc(10)
  t.match(await failing(t), { kind: 'refused', providerCode: 'FORM', advice: /tsm/ })
  machine.outblob = outblob
  t.same(vault.requests, [])
})

t.test('a sidecar that is named is asked instead', async t => {
  vault.policy = undefined
  const sidecar = await startSidecar({})
  t.teardown(() => sidecar.close())
  const provider = await provide({ sidecar: sidecar.url, maaEndpoint: `https://${maa.host}/` })
  t.teardown(() => provider.close())
  await provider.ready
  t.match(sidecar.requests, [{ path: '/attest/maa', body: { maa_endpoint: maa.host } }])
  t.same([maa.tokens, maa.objections], [[], []])
})

const taken = await fetch('http://localhost:8080/').then(() => 'something listens where a sidecar would', () => false)

t.test('without a named sidecar and without reports, the usual sidecar is tried', { skip: taken }, async t => {
  const error = await failing(t, { tsmReports: join(machine.path, 'missing') })
  t.match(
    error,
    { code: 'ERR_REMOTE', kind: 'transient', providerCode: 'NO_ATTESTER', advice: /configfs|\/sys\/kernel\/config/ }
  )
  t.same(maa.tokens, [])
})
