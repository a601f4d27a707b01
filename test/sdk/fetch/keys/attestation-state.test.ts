/**
 * What a fetch says of the proof of its keys: before the first request, after it, and if the proxy can prove them no
 * more.
 */
import t from 'tap'
import type { Attester } from '../../../../lib/attestation/attester.ts'
import { simulated } from '../../../../lib/platforms/local/simulated-evidence.ts'
import type { SimulatedAttester } from '../../../../lib/platforms/local/simulated-evidence.ts'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import type { AttestationOptions, AttestationPolicy } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const workload = await startWorkload(t)
const config = {
  workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true, attestationRateLimit: 1000
} as const

/** A proxy that can begin to present evidence of another root. */
let root: SimulatedAttester = await simulated()
const first = root
const attester: Attester = { type: 'simulated', evidence: request => root.evidence(request) }
const proxy = await startProxy(t, config, { attester })
const policy: AttestationPolicy = { version: 1, development: true, platforms: { simulated: { roots: [first.root] } } }

function make (options: Partial<AttestationOptions> = {}, more: object = {}) {
  const told: string[] = []
  const asked: string[] = []
  const polarisFetch = createPolarisFetch({
    baseURL: proxy.url,
    fetch: (input, init) => {
      asked.push(new URL(String(input)).pathname)
      return fetch(input, init)
    },
    attestation: {
      policy,
      onVerdict: ({ verified }) => told.push(verified ? 'verified' : 'refused'),
      onRenewalFailure: error => told.push(`failed: ${(error as { code: string }).code}`),
      ...options
    },
    ...more
  })
  const { attestation } = polarisFetch
  if (attestation === undefined) throw new Error('there is no attestation')
  return { polarisFetch, attestation, told, asked }
}

for (const more of [{}, { protocol: 'polaris-v1' }]) {
  t.test(`the proxy can prove itself before the first request: ${JSON.stringify(more)}`, async t => {
    const { polarisFetch, attestation, told, asked } = make({}, more)
    t.match(attestation, { verdict: undefined, at: undefined, until: undefined, error: undefined })
    const before = Date.now()
    const verdict = await attestation.verify()
    t.equal(verdict.verified, true)
    t.equal(attestation.verdict, verdict)
    t.ok(Number(attestation.at) >= before && Number(attestation.at) <= Date.now())
    t.ok(Math.abs(Number(attestation.until) - before - 600_000) < 30_000, 'ten minutes')
    t.same(told, ['verified'])
    t.same(asked, ['/polaris-container/attestation'], 'and nothing else was sent')
    t.equal(await attestation.verify(), verdict, 'it still counts')
    t.equal((await polarisFetch('/', { method: 'POST', body: 'x' })).status, 200)
    t.equal(asked.filter(path => path === '/polaris-container/attestation').length, 1)
    t.not(await attestation.verify({ fresh: true }), verdict)
    t.same(told, ['verified', 'verified'])
  })
}

t.test('after a renewal that fails, the application is told, nothing is sent, and the next proof counts ' +
  'again', async t => {
  const { polarisFetch, attestation, told, asked } = make()
  await attestation.verify()
  root = await simulated()
  await t.rejects(attestation.verify({ fresh: true }), { code: 'ERR_ATTESTATION' })
  t.same(told, ['verified', 'refused', 'failed: ERR_ATTESTATION'])
  t.match(attestation, { verdict: { verified: false }, until: undefined, error: { code: 'ERR_ATTESTATION' } })
  const received = workload.received.length
  await t.rejects(polarisFetch('/', { method: 'POST', body: 'secret' }), { code: 'ERR_ATTESTATION' })
  t.equal(workload.received.length, received)
  t.equal(asked.filter(path => path !== '/polaris-container/attestation').length, 0)
  root = first
  t.equal((await attestation.verify()).verified, true)
  t.match(attestation, { verdict: { verified: true }, until: Date, error: undefined })
  t.equal((await polarisFetch('/')).status, 200)
})

t.test('after a refusal of the key and a proof that fails, nothing more is encrypted to the old key', async t => {
  const refusal = { type: 'https://iana.org/assignments/http-problem-types#ohttp-key' }
  const asked: string[] = []
  const { polarisFetch, attestation } = make({}, {
    fetch: ((input, init) => {
      const { pathname } = new URL(String(input))
      asked.push(pathname)
      return pathname === '/polaris-container/attestation'
        ? fetch(input, init)
        : Promise.resolve(
          Response.json(refusal, { status: 400, headers: { 'content-type': 'application/problem+json' } })
        )
    }) as typeof fetch
  })
  t.teardown(() => { root = first })
  await attestation.verify()
  root = await simulated()
  await t.rejects(polarisFetch('/'), { code: 'ERR_ATTESTATION' })
  t.equal(attestation.until, undefined)
  const [before, sent] = [asked.length, asked.filter(path => path !== '/polaris-container/attestation').length]
  await t.rejects(polarisFetch('/'), { code: 'ERR_ATTESTATION' })
  t.equal(sent, 1)
  t.same(asked.slice(before), ['/polaris-container/attestation'])
})

t.test('a proof that runs out is renewed by the next request, and what cannot be asked leaves the last ' +
  'verdict', async t => {
  let down = false
  const { polarisFetch, attestation, told } = make({
    maxAge: 0,
    fetch: (input, init) => down ? Promise.reject(new TypeError('fetch failed')) : fetch(input, init)
  })
  await polarisFetch('/')
  await polarisFetch('/')
  t.same(told, ['verified', 'verified'])
  down = true
  await t.rejects(polarisFetch('/'), { code: 'ERR_ATTESTATION_FETCH' })
  t.equal(told.at(-1), 'failed: ERR_ATTESTATION_FETCH')
  t.match(attestation, { verdict: { verified: true }, until: undefined, error: { code: 'ERR_ATTESTATION_FETCH' } })
})

t.test('a first proof that fails is no renewal: whoever asked is told', async t => {
  const { attestation, told } = make(
    { policy: { version: 1, development: true, platforms: { simulated: { roots: ['A'.repeat(43)] } } } }
  )
  await t.rejects(attestation.verify(), { code: 'ERR_ATTESTATION' })
  t.same(told, ['refused'])
  t.match(attestation, { verdict: { verified: false }, until: undefined })
})

t.test('without the option there is nothing to tell', async t => {
  t.equal(createPolarisFetch({ baseURL: proxy.url }).attestation, undefined)
  t.throws(
    () => createPolarisFetch({ baseURL: proxy.url, attestation: { policy, onVerdict: 'log' as never } }),
    /attestation\.onVerdict must be a function/
  )
  t.throws(
    () => createPolarisFetch({ baseURL: proxy.url, attestation: { policy, onRenewalFailed: () => {} } as never }),
    /did you mean onRenewalFailure\?/
  )
})
