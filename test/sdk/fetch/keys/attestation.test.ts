/** With attestation, nothing is encrypted to a key that the proxy has not proven. */
import { decodeProtectedHeader, calculateJwkThumbprint } from 'jose'
import t from 'tap'
import type { Test } from 'tap'
import { simulated } from '../../../../lib/platforms/local/simulated-evidence.ts'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import type { AttestationPolicy } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { NodeKeyHandler } from '../../../fixtures/sdk-client.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const workload = await startWorkload(t)
const attesting = {
  workloadBaseUrl: workload.url,
  enableInputEncryption: true,
  enableOutputEncryption: true,
  attestationType: 'simulated',
  attestationAllowSimulated: true
} as const

/** The policy that accepts the proxy at the URL, as `polaris policy init --development` writes it. */
async function policyFor (url: string): Promise<AttestationPolicy> {
  const { evidence } =
    await (await fetch(`${url}/polaris-container/attestation`)).json() as { evidence: [[string, string]] }
  const root = await calculateJwkThumbprint(decodeProtectedHeader(evidence[0][1]).jwk!)
  return { version: 1, development: true, platforms: { simulated: { roots: [root] } } }
}

async function start (t: Test) {
  const { url } = await startProxy(t, attesting)
  return { url, policy: await policyFor(url) }
}

t.test('keys that are proven are used, with either protocol', async t => {
  const { url, policy } = await start(t)
  for (const options of [{}, { protocol: 'polaris-v1', keyHandler: new NodeKeyHandler() } as const]) {
    const asked: string[] = []
    const underlying: typeof fetch = (input, init) => {
      asked.push(new URL(String(input)).pathname)
      return fetch(input, init)
    }
    const polarisFetch = createPolarisFetch({ baseURL: url, attestation: policy, fetch: underlying, ...options })
    for (let i = 0; i < 2; i++) t.equal((await polarisFetch('/', { method: 'POST', body: 'x' })).status, 200)
    t.equal(asked.filter(path => path === '/polaris-container/attestation').length, 1, 'one proof counts for a while')
    t.equal(asked.length, 3, 'and nothing is asked that nobody vouches for')
  }
})

t.test('what is not proven gets nothing', async t => {
  const { url, policy } = await start(t)
  const { url: unattested } = await startProxy(t, { ...attesting, attestationType: 'none' })
  const other = await start(t)
  const posts: unknown[] = []
  const underlying: typeof fetch = (input, init) => {
    if (init?.method === 'POST') posts.push(input)
    return fetch(input, init)
  }
  for (const [baseURL, accepted, expected] of [
    [other.url, policy, { name: 'AttestationError', code: 'ERR_ATTESTATION', message: /^Attestation failed: root \(/ }],
    [unattested, policy, { code: 'ERR_ATTESTATION' }],
    [workload.url, policy, { code: 'ERR_ATTESTATION_DOCUMENT' }],
    ['http://127.0.0.1:9', policy, { code: 'ERR_ATTESTATION_FETCH' }],
    [
      url, { version: 1, platforms: { 'sev-snp': { measurements: ['aa'.repeat(48)] } } } satisfies AttestationPolicy,
      { code: 'ERR_ATTESTATION' }
    ]
  ] as const) {
    const polarisFetch = createPolarisFetch({ baseURL, attestation: accepted, fetch: underlying })
    for (let i = 0; i < 2; i++) await t.rejects(polarisFetch('/', { method: 'POST', body: 'secret' }), expected)
  }
  t.strictSame(posts, [])
})

t.test('a policy that pins nothing, and keys of two sources, are refused at once', async t => {
  const baseURL = 'http://proxy.example'
  const pinless: AttestationPolicy = { version: 1, platforms: { 'sev-snp': {} } }
  for (const attestation of [pinless, { policy: pinless }]) {
    t.throws(
      () => createPolarisFetch({ baseURL, attestation }),
      { code: 'ERR_ATTESTATION_POLICY', message: /pins no software/ }
    )
  }
  t.throws(
    () => createPolarisFetch({ baseURL, attestation: { version: 1, plattforms: {} } as never }),
    { code: 'ERR_ATTESTATION_POLICY', message: /plattforms is not known/ }
  )
  const attestation: AttestationPolicy = { version: 1, platforms: { 'sev-snp': { measurements: ['aa'.repeat(48)] } } }
  t.throws(
    () => createPolarisFetch({ baseURL, attestation, keys: async () => { throw new Error('never asked') } }),
    { name: 'TypeError', message: /exclude each other/ }
  )
})

t.test('where a TEE starts again with new keys, they are proven and used, and the request is sent once ' +
  'more', async t => {
  const attester = await simulated()
  const policy: AttestationPolicy = {
    version: 1, development: true, platforms: { simulated: { roots: [attester.root] } }
  }
  const [before, after] = [await startProxy(t, attesting, { attester }), await startProxy(t, attesting, { attester })]
  let current = before.url
  let proofs = 0
  const underlying: typeof fetch = (input, init) => {
    if (String(input).includes('/attestation')) proofs++
    return fetch(String(input).replace('http://proxy.example', current), init)
  }
  const polarisFetch = createPolarisFetch({ baseURL: 'http://proxy.example', attestation: policy, fetch: underlying })
  await polarisFetch('/')
  current = after.url
  const received = workload.received.length
  t.equal((await polarisFetch('/', { method: 'POST', body: 'x' })).status, 200)
  t.equal(proofs, 2)
  t.equal(workload.received.length, received + 1)
})

t.test('a proxy that only speaks the legacy protocol is not spoken to in it, unless that was asked for', async t => {
  const { url } = await startProxy(t, { ...attesting, enableOhttp: false })
  const posts: unknown[] = []
  const underlying: typeof fetch = (input, init) => {
    if (init?.method === 'POST') posts.push(input)
    return fetch(input, init)
  }
  for (const [attestation, code] of [
    [await policyFor(url), 'ERR_POLARIS_NO_USABLE_KEY'], [undefined, 'ERR_POLARIS_NOT_A_GATEWAY']
  ] as const) {
    const polarisFetch = createPolarisFetch({ baseURL: url, fetch: underlying, ...attestation && { attestation } })
    await t.rejects(polarisFetch('/', { method: 'POST', body: 'secret' }), { code })
  }
  t.strictSame(posts, [])
})

t.test('a proof is asked for anew after its time, and when the keys change', async t => {
  const { url, policy } = await start(t)
  const impostor = await start(t)
  let current = url
  let proofs = 0
  const underlying: typeof fetch = (input, init) => {
    if (String(input).includes('/attestation')) proofs++
    return fetch(String(input).replace('http://proxy.example', current), init)
  }
  const always = createPolarisFetch(
    { baseURL: 'http://proxy.example', attestation: { policy, maxAge: 0 }, fetch: underlying }
  )
  for (let i = 0; i < 3; i++) await always('/')
  t.equal(proofs, 3)

  const longer = createPolarisFetch({ baseURL: 'http://proxy.example', attestation: { policy }, fetch: underlying })
  await longer('/')
  current = impostor.url
  const received = workload.received.length
  const codes = new Set<unknown>()
  for (let i = 0; i < 2; i++) {
    codes.add(await longer('/', { method: 'POST', body: 'secret' }).catch((error: { code: string }) => error.code))
  }
  t.ok(
    [...codes].every(code => code === 'ERR_ATTESTATION' || code === 'ERR_POLARIS_REFUSED'),
    'another TEE cannot take over'
  )
  t.equal(workload.received.length, received)
  current = url
  t.equal((await longer('/')).status, 200)
})
