/** A proxy that has too many clients asking for evidence at once is asked again, within bounds. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { simulated } from '../../../../lib/platforms/local/simulated-evidence.ts'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { attestKeys, fetchAttestation } from '../../../../sdk/attestation/index.ts'
import { polaris } from '../../../fixtures/polaris-cli.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const policy = { version: 1, development: true, insecure: true, platforms: { simulated: {} } } as const

/** Evidence takes its time, as of hardware. */
async function slowProxy (t: Test, milliseconds: number) {
  const genuine = await simulated()
  const workload = await startWorkload(t)
  const turnedAway: number[] = []
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, attestationRateLimit: 100_000 }, {
    attester: {
      type: 'simulated',
      async evidence (request) {
        await setTimeout(milliseconds)
        return genuine.evidence(request)
      }
    }
  })
  const counting: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (response.status === 503) turnedAway.push(response.status)
    return response
  }
  return { proxy, workload, counting, turnedAway }
}

t.test('twelve clients that ask a proxy at once are all served in the end, though it serves four at once', async t => {
  const { proxy, workload, counting, turnedAway } = await slowProxy(t, 300)
  const statuses = await Promise.all(Array.from({ length: 12 }, async () => {
    const polarisFetch = createPolarisFetch({ baseURL: proxy.url, attestation: policy, fetch: counting })
    return (await polarisFetch('/')).status
  }))
  t.same(statuses, Array(12).fill(200))
  t.equal(workload.received.length, 12)
  t.ok(turnedAway.length > 0, 'some were turned away')
})

t.test('the commands wait their turn, too', async t => {
  const { proxy } = await slowProxy(t, 1500)
  const results = await Promise.all(Array.from(
    { length: 6 }, () => polaris(['verify', proxy.url, '--development'])
  ))
  t.same(results.map(({ status }) => status), Array(6).fill(0), results.map(({ stderr }) => stderr).join(''))
})

async function answering (t: Test, answer: (response: ServerResponse) => void) {
  const state = { asked: 0, url: '' }
  const server = createServer((_request, response) => {
    state.asked++
    answer(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return state
}

for (const [name, status, headers, times] of [
  ['503 with a short Retry-After', 503, { 'retry-after': '0' }, 6],
  ['503 without Retry-After', 503, {}, 1],
  ['503 that asks for a long pause', 503, { 'retry-after': '6' }, 1],
  ['503 with a date', 503, { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' }, 1],
  ['another status', 500, { 'retry-after': '0' }, 1]
] as const) {
  t.test(`${name} is asked ${times} times, and then it is an error`, async t => {
    const server = await answering(t, response => response.writeHead(status, headers).end())
    await t.rejects(fetchAttestation(server.url), { code: 'ERR_ATTESTATION_FETCH', status })
    t.equal(server.asked, times)
  })
}

t.test('a signal ends the waiting at once, with its reason', async t => {
  const stop = new AbortController()
  const server = await answering(t, response => {
    response.writeHead(503, { 'retry-after': '5' }).end()
    setImmediate(() => stop.abort(new Error('the user left')))
  })
  await t.rejects(fetchAttestation(server.url, fetch, stop.signal), { message: 'the user left' })
  await t.rejects(attestKeys({ baseURL: server.url, policy, signal: stop.signal }), { message: 'the user left' })
  t.equal(server.asked, 1)
})
