// GET and POST /polaris-container/attestation: what clients verify, and what is refused.
import t from 'tap'
import { RemoteError } from '../../../lib/remote/error.ts'
import type { Attester } from '../../../lib/attestation/attester.ts'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { parseAttestationDocument } from '../../../lib/protocols/attestation.ts'
import { attestKeys, verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy } from '../../../sdk/attestation/index.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient } from '../../fixtures/raw.ts'

const workloadBaseUrl = 'http://127.0.0.1:9'
const PATH = '/polaris-container/attestation'
const nonce = Buffer.alloc(32, 5).toString('base64url')

const attester = await simulated()
const policy: AttestationPolicy = {
  version: 1, development: true, platforms: { simulated: { roots: [attester.root] } }
}

t.test('a client verifies the keys that the proxy publishes', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl, contextRoot: '/root' }, { attester })
  for (const baseURL of [proxy.url, `${proxy.url}/`, `${proxy.url}/root`]) {
    const { verdict, keys } = await attestKeys({ baseURL, policy })
    t.ok(verdict.verified)
    const published = await (await fetch(`${proxy.url}/polaris-container/publicKey`)).json() as { publicKey: string }
    const [spki] = keys.get('polaris-v1-spki') ?? []
    t.equal(Buffer.from(spki ?? []).toString('base64'), published.publicKey.replace(/-----[^-]+-----|\s/g, ''))
    const configurations = await (await fetch(`${proxy.url}/.well-known/ohttp-gateway`)).arrayBuffer()
    t.equal(Buffer.from(keys.get('ohttp-keys')?.[0] ?? []).toString('hex'), Buffer.from(configurations).toString('hex'))
  }
})

t.test('production policies refuse simulated evidence', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl }, { attester })
  const { verdict, keys } = await attestKeys(
    { baseURL: proxy.url, policy: { version: 1, platforms: { 'sev-snp': { measurements: ['aa'.repeat(48)] } } } }
  )
  t.equal(verdict.verified, false)
  t.same(verdict.checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name), ['platform'])
  t.equal(keys.size, 0)
  t.ok(proxy.log.some(line => line.includes('it proves nothing')), 'the proxy says so as well')
})

t.test('GET and POST answer the same nonce, not to be stored, with all that a verifier needs', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl }, { attester })
  const answers = [
    await fetch(`${proxy.url}${PATH}?nonce=${nonce}`),
    await fetch(
      proxy.url + PATH,
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ nonce }) }
    )
  ]
  for (const answer of answers) {
    t.equal(answer.status, 200)
    t.match(answer.headers.get('content-type'), /^application\/json/)
    t.equal(answer.headers.get('cache-control'), 'no-store')
    const text = await answer.text()
    t.match(JSON.parse(text), { profile: 'polaris-attestation-v2', tee: 'simulated', nonce, cached: false })
    t.ok((await verifyAttestation(text, policy, { nonce: Buffer.from(nonce, 'base64url') })).verified)
  }
})

t.test('without a nonce the answer is shared, and says so', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl }, { attester })
  const [one, other] = await Promise.all(
    [fetch(proxy.url + PATH), fetch(proxy.url + PATH)].map(async answer => (await answer).text())
  )
  t.equal(one, other)
  t.equal(parseAttestationDocument(one ?? '').cached, true)
  t.ok((await verifyAttestation(one ?? '', { ...policy, allowCached: true })).verified)
})

t.test('where there is no trusted execution environment, the answer says so', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl, attestationType: 'none' })
  const document = await (await fetch(`${proxy.url}${PATH}?nonce=${nonce}`)).json() as Record<string, unknown>
  t.match(document, { tee: 'none', evidence: [], endorsements: [] })
  t.equal((document['keys'] as unknown[]).length, 2)
})

t.test('what is not a nonce is refused', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl }, { attester })
  const octets = (length: number) => Buffer.alloc(length).toString('base64url')
  for (const query of [
    'nonce=', `nonce=${octets(15)}`, `nonce=${octets(65)}`, `nonce=${nonce}=`, `nonce=${nonce.slice(0, -1)}!`,
    `nonce=${nonce}&nonce=${nonce}`, 'nonce=%41', 'nonce=%00'
  ]) {
    const answer = await fetch(`${proxy.url}${PATH}?${query}`)
    t.equal(answer.status, 400, query)
    t.equal(answer.headers.get('content-type'), 'application/problem+json')
  }
  for (const query of [`nonce=${octets(16)}`, `nonce=${octets(64)}`]) {
    t.equal((await fetch(`${proxy.url}${PATH}?${query}`)).status, 200, query)
  }
  for (const body of [
    '', '{', '[]', '{"nonce":{}}', JSON.stringify({ nonce: octets(15) }),
    JSON.stringify({ nonce, padding: 'x'.repeat(2000) })
  ]) {
    const answer = await fetch(
      proxy.url + PATH, { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    )
    t.ok(answer.status === 400 || answer.status === 413, body)
  }
})

t.test('while the platform cannot answer: 503, Retry-After, and nothing of the cause', async t => {
  const away: Attester = {
    type: 'azure-maa',
    evidence: async () => {
      throw new RemoteError(
        'transient', 'The sidecar answered 403', { providerCode: 'AWAY', advice: 'Wait' }
      )
    }
  }
  const proxy = await startProxy(t, { workloadBaseUrl }, { attester: away })
  for (const query of ['', `?nonce=${nonce}`]) {
    const answer = await fetch(proxy.url + PATH + query)
    t.equal(answer.status, 503)
    t.ok(Number(answer.headers.get('retry-after')) >= 1)
    const body = await answer.text()
    t.match(JSON.parse(body), { type: 'urn:polaris-secure-proxy:problem:attestation-unavailable' })
    t.notMatch(body, /sidecar|403/)
  }
})

t.test('requests for evidence are limited', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl, attestationRateLimit: 3 }, { attester })
  const statuses: number[] = []
  for (let i = 0; i < 5; i++) statuses.push((await fetch(`${proxy.url}${PATH}?nonce=${nonce}`)).status)
  t.same(statuses, [200, 200, 200, 429, 429])
  t.equal((await fetch(`${proxy.url}/polaris-container/health`)).status, 200, 'nothing else is')
})

t.test('requests for evidence are limited for each client, also behind a trusted proxy', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl, attestationRateLimit: 1, trustProxy: '127.0.0.1' }, { attester })
  const ask = async (from: string) => (await fetch(
    `${proxy.url}${PATH}`, { headers: { 'x-forwarded-for': from } }
  )).status
  t.same([await ask('192.0.2.1'), await ask('192.0.2.2'), await ask('192.0.2.1')], [200, 200, 429])
  t.same([await ask('2001:db8::1'), await ask('2001:db8::2')], [200, 429], 'an IPv6 client has all of its /64')
})

// Found by a fuzzer: by then the connection has no address.
t.test('clients that are gone before they are counted are no error', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl }, { attester })
  for (let i = 0; i < 50; i++) {
    const client = await rawClient(t, proxy.port)
    client.send(`GET ${PATH} HTTP/1.1\r\nhost: x\r\n\r\n`)
    client.socket.resetAndDestroy()
  }
  t.equal((await fetch(`${proxy.url}/polaris-container/livez`)).status, 200)
  t.notMatch(proxy.log.join(''), /internal error/)
})

t.test('simulated evidence does not start in production unless it is forced by name', async t => {
  process.env['NODE_ENV'] = 'production'
  t.teardown(() => { delete process.env['NODE_ENV'] })
  await t.rejects(startProxy(t, { workloadBaseUrl, attestationType: 'simulated' }), { message: /not for production/ })
  await t.resolves(startProxy(t, { workloadBaseUrl, attestationType: 'simulated', attestationAllowSimulated: true }))
})
