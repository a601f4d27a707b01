/**
 * Requests without a Date: refused by default, and where they are accepted, forwarded once for as long as their key
 * lives.
 */
import t from 'tap'
import { configFrom } from '../../../lib/config/config.ts'
import { createFreshness } from '../../../lib/exchanges/ohttp/freshness.ts'
import { rememberFor } from '../../../lib/replay/remember.ts'
import type { RequestHead } from '../../../lib/protocols/bhttp/bhttp.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../fixtures/ohttp-client.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const undated = (): RequestHead => ({ ...requestHead('POST', '/'), headers: [] })

for (const chunked of [true, false]) {
  const form = chunked ? 'chunked' : 'not chunked'

  t.test(`by default the refusal says that the Date is missing, and not that clocks differ, ${form}`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const response = await send(url, await encapsulate(await fetchKey(url), undated(), Buffer.from('x'), { chunked }))
    t.equal(response.status, 400)
    const problem = await response.json() as Record<string, string>
    t.match(
      problem,
      { type: 'https://iana.org/assignments/http-problem-types#date', title: 'Date missing', detail: /no Date/ }
    )
    t.notMatch(problem['detail'], /clock/)
    t.equal(workload.received.length, 0)
  })

  t.test('where it is optional, a request without is forwarded once, and a Date still has to be right, ' +
    `${form}`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ohttpDate: 'optional' })
    const key = await fetchKey(url)
    const request = await encapsulate(key, undated(), Buffer.from('x'), { chunked })
    t.equal((await request.open(await send(url, request))).status, 200)
    t.match(await (await send(url, request)).json(), { type: 'urn:polaris-secure-proxy:problem:cannot-open' })
    t.equal(workload.received.length, 1)
    const late = { ...undated(), headers: [['date', 'Tue, 01 Jan 2030 12:00:00 GMT']] as const }
    t.match(
      await (await send(url, await encapsulate(key, late, Buffer.from('x'), { chunked }))).json(),
      { title: 'Date out of range' }
    )
  })

  t.test('what is no HTTP request inside is answered inside, and takes no room in the replay store, ' +
    `${form}`, async t => {
    const admitted: string[] = []
    const replayStore = {
      admit (digest: Buffer) {
        admitted.push(digest.toString('hex'))
        return true
      },
      problem: () => undefined,
      close: async () => undefined
    }
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url }, { replayStore })
    const key = await fetchKey(url)
    const request = await encapsulate(key, requestHead('POST', '/'), Buffer.from('x'), { chunked, spoil: true })
    const inner = await request.open(await send(url, request))
    t.equal(inner.status, 400)
    t.strictSame(admitted, [])
    t.equal(workload.received.length, 0)
  })
}

t.test('requests are remembered for as long as a key opens them, from the epoch before its own', t => {
  const options = { replayWindow: 60_000, enableEhbp: false, hpkeRotation: 3_600_000, hpkeRetirement: 600_000 }
  t.equal(rememberFor({ ...options, ohttpDate: 'required' }) < 300_000, true)
  t.equal(rememberFor({ ...options, ohttpDate: 'optional' }), 2 * 3_600_000 + 600_000 + 30_000)
  t.end()
})

t.test('a key that stays takes no request without a Date', t => {
  const options = {
    replayWindow: 60_000,
    enableEhbp: false,
    hpkeRotation: 3_600_000,
    hpkeRetirement: 0,
    ohttpDate: 'optional',
    now: () => 0
  } as const
  const key = { keyId: 1, kemId: 32, kdfId: 1, aeadId: 1 }
  const ring = (notAfter: number) => ({
    keys: () => [{ keyId: 1, kemId: 32, state: 'active', notBefore: 0, notAfter, publicKey: new Uint8Array() }] as const
  })
  t.doesNotThrow(() => createFreshness(ring(7_200_000), options).check(undated(), key))
  t.throws(() => createFreshness(ring(Infinity), options).check(undated(), key), { code: 'date-missing' })
  t.end()
})

t.test('what could not be remembered for long enough does not start', t => {
  const workloadBaseUrl = 'http://127.0.0.1:9'
  const cases: [config: object, problem: RegExp][] = [
    [{ hpkeRotation: '0' }, /OHTTP_DATE cannot be optional if .*HPKE_ROTATION is 0/],
    [{ keyType: 'file', keyFile: '/x', hpkeSeed: 'derived' }, /REPLAY_STORE must be a store that all replicas share/]
  ]
  for (const [config, problem] of cases) {
    t.throws(() => configFrom({ workloadBaseUrl, ohttpDate: 'optional', ...config }), problem)
  }
  t.doesNotThrow(() => configFrom({ workloadBaseUrl, hpkeRotation: '0' }))
  t.doesNotThrow(() => configFrom({
    workloadBaseUrl,
    ohttpDate: 'optional',
    keyType: 'file',
    keyFile: '/x',
    hpkeSeed: 'derived',
    replayStore: 'redis://x'
  }))
  t.end()
})
