/**
 * A client whose clock is off. The proxy is a process of its own, with the right time; the clock of this one is moved.
 * The gateway's time is only believed if the attestation evidence proves it.
 */
import { mock } from 'node:test'
import t from 'tap'
import type { Test } from 'tap'
import { attestKeys } from '../../../../sdk/attestation/index.ts'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import type { AttestationPolicy, PolarisFetchOptions } from '../../../../sdk/index.ts'
import { startServer, untilReady } from '../../../fixtures/process.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const MINUTE = 60_000
const workload = await startWorkload(t)
const proxy = await startServer(t, {
  POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
  POLARIS_CONTAINER_ATTESTATION_TYPE: 'simulated',
  POLARIS_CONTAINER_ATTESTATION_ALLOW_SIMULATED: 'true'
})
await untilReady(proxy.url)
const anyRoot: AttestationPolicy = { version: 1, insecure: true, development: true, platforms: { simulated: {} } }
const { verdict } = await attestKeys({ baseURL: proxy.url, policy: anyRoot })
const policy: AttestationPolicy = { version: 1, development: true, platforms: verdict.presented }

/** Runs with this process's clock moved. */
async function off<T> (t: Test, by: number, run: () => Promise<T>): Promise<T> {
  mock.timers.enable({ apis: ['Date'], now: Date.now() + by })
  t.teardown(() => mock.timers.reset())
  try {
    return await run()
  } finally {
    mock.timers.reset()
  }
}

const outcome = (options: Partial<PolarisFetchOptions>) => createPolarisFetch({
  baseURL: proxy.url, ...options
})('/').then(({ status }) => status, (error: { code: string }) => error.code)

/** Moves what the proxy says of its time, in the answers that a URL is part of. */
const lying = (part: string, by: number): typeof fetch => async (input, init) => {
  const response = await fetch(input, init)
  if (!String(input).includes(part)) return response
  const headers = new Headers(response.headers)
  headers.set('date', new Date(Date.parse(headers.get('date') ?? '') + by).toUTCString())
  return new Response(response.body, { status: response.status, headers })
}

const cases: [name: string, by: number, options: Partial<PolarisFetchOptions>, expected: number | string][] = [
  ['a clock that is right', 0, { attestation: policy, clock: 'gateway' }, 200],
  ['twelve minutes behind: strict by default', -12 * MINUTE, { attestation: policy }, 'ERR_ATTESTATION'],
  ['twelve minutes behind, without attestation', -12 * MINUTE, {}, 'ERR_POLARIS_CLOCK'],
  ['twelve minutes behind: corrected', -12 * MINUTE, { attestation: policy, clock: 'gateway' }, 200],
  ['twelve minutes ahead: corrected', 12 * MINUTE, { attestation: policy, clock: 'gateway' }, 200],
  ['the wrong time zone: corrected', 9 * 60 * MINUTE, { attestation: policy, clock: 'gateway' }, 200],
  [
    'two days behind: beyond the bounds', -48 * 60 * MINUTE, { attestation: policy, clock: 'gateway' },
    'ERR_ATTESTATION'
  ],
  [
    'behind, and a gateway that lies about the time', -12 * MINUTE,
    { attestation: policy, clock: 'gateway', fetch: lying('attestation', 5 * MINUTE) }, 'ERR_ATTESTATION'
  ],
  [
    'behind, and a gateway that agrees with it although its evidence does not', -12 * MINUTE,
    { attestation: policy, clock: 'gateway', fetch: lying('attestation', -12 * MINUTE) }, 'ERR_ATTESTATION'
  ],
  [
    'a right clock, and a gateway that lies: the lie is not believed', 0,
    { attestation: policy, clock: 'gateway', fetch: lying('attestation', 30 * MINUTE) }, 200
  ]
]

for (const [name, by, options, expected] of cases) {
  t.test(`${name}: ${expected}`, async t => {
    t.equal(await off(t, by, () => outcome(options)), expected)
  })
}

t.test('a clock that is set while requests are made is noticed: one request fails, the next is corrected', async t => {
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url, attestation: policy, clock: 'gateway' })
  t.equal((await polarisFetch('/')).status, 200)
  await off(t, -12 * MINUTE, async () => {
    await t.rejects(polarisFetch('/'), { code: 'ERR_POLARIS_CLOCK', message: /gateway says/ })
    t.equal((await polarisFetch('/')).status, 200)
  })
})
