// The gate before the workload: closed without evidence, open with it, closed again, and what happens in flight.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { RemoteError } from '../../lib/remote/error.ts'
import type { Attester } from '../../lib/attestation/attester.ts'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { startWorkload } from '../fixtures/workload.ts'

const genuine = await simulated()

/** Gives evidence or not, as told; evidence that lasts for so long. */
function platform (lifetime = 3_600_000) {
  const state = { away: false }
  const attester: Attester = {
    type: 'simulated',
    async evidence (request) {
      if (state.away) {
        throw new RemoteError('transient', 'The launcher is away', { providerCode: 'AWAY', advice: 'Wait' })
      }
      return { ...await genuine.evidence(request), expiresAt: new Date(Date.now() + lifetime) }
    }
  }
  return { state, attester }
}

/** However long the machine takes. */
async function until (condition: () => Promise<boolean>) {
  while (!await condition()) await new Promise(resolve => setTimeout(resolve, 20))
}

t.test('closed: workload traffic gets 503, readyz says why, health and keys answer; it opens by itself', async t => {
  const { state, attester } = platform()
  state.away = true
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, attestationRequired: true }, { attester })
  const status = async (path: string) => (await fetch(proxy.url + path)).status
  await until(
    async () => (await (await fetch(`${proxy.url}/polaris-container/readyz`)).text()).includes('The launcher is away')
  )

  const refused = await fetch(`${proxy.url}/anything`, { method: 'POST', body: 'x' })
  t.equal(refused.status, 503)
  t.equal(refused.headers.get('retry-after'), '5')
  t.match(await refused.json(), { type: 'urn:polaris-secure-proxy:problem:not-attested' })
  t.equal(workload.received.length, 0)
  const ready = await fetch(`${proxy.url}/polaris-container/readyz`)
  t.equal(ready.status, 503)
  t.same(await ready.json(), { status: 'not ready', reasons: ['attestation: The launcher is away'] })
  for (const path of ['/polaris-container/health', '/polaris-container/publicKey', '/.well-known/ohttp-gateway']) {
    t.equal(await status(path), 200, path)
  }

  state.away = false
  await until(async () => await status('/polaris-container/readyz') === 200)
  t.equal(await status('/anything'), 200)
})

t.test('without ATTESTATION_REQUIRED traffic passes all the same', async t => {
  const { state, attester } = platform()
  state.away = true
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url }, { attester })
  t.equal((await fetch(proxy.url)).status, 200)
  t.equal((await fetch(`${proxy.url}/polaris-container/readyz`)).status, 200)
})

for (const attestationOnClose of ['finish', 'end'] as const) {
  t.test(`when the gate closes, exchanges in flight ${attestationOnClose}`, async t => {
    const { state, attester } = platform(500)
    let finish = () => {}
    const workload = createServer((_request, response) => {
      response.write('first')
      finish = () => response.end(' last')
    }).listen(0, '127.0.0.1')
    await once(workload, 'listening')
    t.teardown(() => { workload.closeAllConnections(); workload.close() })
    const workloadBaseUrl = `http://127.0.0.1:${(workload.address() as AddressInfo).port}`
    const proxy = await startProxy(
      t, { workloadBaseUrl, attestationRequired: true, attestationGrace: '300ms', attestationOnClose }, { attester }
    )
    const ready = async () => (await fetch(`${proxy.url}/polaris-container/readyz`)).status === 200
    await until(ready)
    const response = await fetch(proxy.url)
    t.equal(response.status, 200)
    state.away = true
    await until(async () => !await ready())
    t.equal((await fetch(proxy.url)).status, 503, 'nothing new begins')
    // The log tells when the listeners were called.
    await until(async () => proxy.log.some(line => line.includes('attestation gate closed')))
    if (attestationOnClose === 'finish') {
      finish()
      t.equal(await response.text(), 'first last')
    } else {
      await t.rejects(response.text(), 'cut off, not complete')
    }
  })
}

t.test('a deployment outside its operator\'s policy serves nothing', async t => {
  const { attester } = platform()
  const workload = await startWorkload(t)
  const folder = t.testdir({
    'own.json': JSON.stringify({ version: 1, development: true, platforms: { simulated: { roots: [genuine.root] } } }),
    'other.json': JSON.stringify(
      { version: 1, development: true, platforms: { simulated: { roots: ['A'.repeat(43)] } } }
    ),
    'empty.json': JSON.stringify({ version: 1, development: true, platforms: { simulated: {} } })
  })
  const other = await startProxy(
    t, { workloadBaseUrl: workload.url, attestationPolicyFile: `${folder}/other.json` }, { attester }
  )
  await until(async () =>
    (await (await fetch(`${other.url}/polaris-container/readyz`)).text()).includes('policy refuses its evidence: root'))
  t.equal((await fetch(other.url)).status, 503)
  const own = await startProxy(
    t, { workloadBaseUrl: workload.url, attestationPolicyFile: `${folder}/own.json` }, { attester }
  )
  await until(async () => (await fetch(`${own.url}/polaris-container/readyz`)).status === 200)
  t.equal((await fetch(own.url)).status, 200)
  await t.rejects(
    startProxy(t, { workloadBaseUrl: workload.url, attestationPolicyFile: `${folder}/empty.json` }, { attester }),
    { code: 'ERR_CONFIG', message: /ATTESTATION_POLICY_FILE/ }
  )
})

t.test('an issuer that cannot be asked is no verdict about the deployment', async t => {
  const token = ['{"alg":"RS256","kid":"one"}', '{"iss":"https://127.0.0.1:9","exp":4102444800}', 'x'].map(
    part => Buffer.from(part).toString('base64url')
  ).join('.')
  const attester: Attester = {
    type: 'azure-maa',
    evidence: async () => ({ tee: 'azure-maa', evidence: [['application/jwt', token]], endorsements: [] })
  }
  const folder = t.testdir({
    'policy.json': JSON.stringify(
      { version: 1, platforms: { 'azure-maa': { issuers: ['https://127.0.0.1:9'], hostData: ['00'.repeat(32)] } } }
    )
  })
  const proxy = await startProxy(
    t, { workloadBaseUrl: 'http://127.0.0.1:9', attestationPolicyFile: `${folder}/policy.json` }, { attester }
  )
  const reasons = async () => (await fetch(`${proxy.url}/polaris-container/readyz`)).text()
  await until(
    async () => (await reasons()).includes('The evidence cannot be appraised: https://127.0.0.1:9/certs is unreachable')
  )
  t.notMatch(await reasons(), 'refuses')
})

t.test('attestation cannot be required where there is nothing to attest with', async t => {
  await t.rejects(
    startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9', attestationType: 'none', attestationRequired: true }),
    { message: /cannot attest/ }
  )
})
