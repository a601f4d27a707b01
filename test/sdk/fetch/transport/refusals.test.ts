/** What the gateway refuses is sent again once where that helps and does no harm, and otherwise not at all. */
import { mock } from 'node:test'
import t from 'tap'
import type { Test } from 'tap'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import type { ClockError } from '../../../../sdk/index.ts'
import { countingFetch } from '../../../fixtures/counting-fetch.ts'
import { fetchKey } from '../../../fixtures/ohttp-client.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import type { Proxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const workload = await startWorkload(t)
const OHTTP_KEY = 'https://iana.org/assignments/http-problem-types#ohttp-key'

/** Members of an error. */
interface Expected { code: string, [member: string]: unknown }

async function startTwo (t: Test): Promise<[Proxy, Proxy]> {
  const config = { workloadBaseUrl: workload.url, enableInputEncryption: true }
  return [await startProxy(t, config), await startProxy(t, config)]
}

async function firstKeyId (url: string): Promise<number | undefined> {
  return (await fetchKey(url)).keyId
}

/** A proxy that was replaced by another with other keys, as after a restart. */
async function replaced (t: Test) {
  const proxies = await startTwo(t)
  // Key ids begin anywhere. Once in 256 times the second proxy has a key with the same id, and cannot know better.
  while (await firstKeyId(proxies[0].url) === await firstKeyId(proxies[1].url)) proxies[1] = (await startTwo(t))[1]
  let current = 0
  const { count, fetch: counted } = countingFetch()
  const underlying: typeof fetch = (input, init) => counted(
    String(input).replace('http://proxy.example', proxies[current]!.url), init
  )
  const polarisFetch = createPolarisFetch({ baseURL: 'http://proxy.example', fetch: underlying })
  await polarisFetch('/')
  current = 1
  workload.received.length = 0
  return { polarisFetch, count }
}

t.test('a refused key is replaced, and the request sent once more', async t => {
  const { polarisFetch, count } = await replaced(t)
  for (const body of ['a string', new Blob([new Uint8Array(2_000_000)]), new URLSearchParams('a=1')]) {
    t.equal((await polarisFetch('/', { method: 'POST', body })).status, 200)
  }
  t.strictSame(count, { keys: 2, requests: 1 + 1 + 3 })
  t.equal(workload.received.length, 3)
})

t.test('many requests that are refused together fetch the new keys once', async t => {
  const { polarisFetch, count } = await replaced(t)
  const responses = await Promise.all(
    Array.from({ length: 20 }, () => polarisFetch('/', { method: 'POST', body: 'x' }))
  )
  t.ok(responses.every(({ ok }) => ok))
  t.strictSame(count, { keys: 2, requests: 1 + 20 + 20 })
})

t.test('a stream cannot be sent again: the error says so, and the next request works', async t => {
  const { polarisFetch } = await replaced(t)
  const cancelled: unknown[] = []
  const body = new ReadableStream<Uint8Array>({
    start (controller) { controller.enqueue(Buffer.from('only once')) },
    cancel (why) { cancelled.push(why) }
  })
  await t.rejects(polarisFetch('/', { method: 'POST', body, duplex: 'half' }), {
    name: 'GatewayRefusalError',
    code: 'ERR_POLARIS_KEY_REFUSED',
    message: /stream.*send it again/,
    status: 422,
    problem: { type: OHTTP_KEY }
  })
  t.equal(cancelled.length, 1)
  t.equal((await polarisFetch(
    '/', { method: 'POST', body: ReadableStream.from([Buffer.from('again')]), duplex: 'half' }
  )).status, 200)
  t.equal(workload.received.length, 1)
})

/** Answers posts as a test says, and requests for keys as a real proxy does. */
async function gateway (
  t: Test, answer: (count: number) => Response, change?: (response: Response) => Promise<Response>
) {
  const [proxy, other] = await startTwo(t)
  const count = { keys: 0, requests: 0 }
  const underlying: typeof fetch = async (_input, init) => {
    if (init?.method === 'POST') return answer(++count.requests)
    const response = await fetch(`${(count.keys++ % 2 === 0 ? proxy : other).url}/.well-known/ohttp-gateway`, init)
    return change === undefined ? response : change(response)
  }
  return { count, polarisFetch: createPolarisFetch({ baseURL: 'https://proxy.example', fetch: underlying }) }
}

const problem = (type: string, status: number, headers = {}) => new Response(
  JSON.stringify({ type, title: 'The title', detail: 'The detail.' }),
  { status, headers: { 'content-type': 'application/problem+json', ...headers } }
)

t.test('a second refusal is final', async t => {
  const { polarisFetch, count } = await gateway(t, () => problem(OHTTP_KEY, 422))
  await t.rejects(
    polarisFetch('/', { method: 'POST', body: 'x' }), { code: 'ERR_POLARIS_KEY_REFUSED', message: /did not forward it/ }
  )
  t.strictSame(count, { keys: 2, requests: 2 })
})

t.test('nothing is sent again to a gateway that still publishes the key it refuses: the refusal may be a ' +
  'forgery', async t => {
  const [proxy] = await startTwo(t)
  const { count, fetch: counted } = countingFetch()
  const underlying: typeof fetch = async (input, init) => {
    const response = await counted(input, init)
    return init?.method === 'POST' ? problem(OHTTP_KEY, 422) : response
  }
  workload.received.length = 0
  await t.rejects(
    createPolarisFetch({ baseURL: proxy.url, fetch: underlying })('/', { method: 'POST', body: 'pay' }),
    { code: 'ERR_POLARIS_KEY_REFUSED', message: /replicas/ }
  )
  t.strictSame(count, { keys: 2, requests: 1 })
  t.equal(workload.received.length, 1)
})

t.test('nothing else is ever sent again', async t => {
  const answers: [() => Response, Expected][] = [
    [() => problem('urn:polaris-secure-proxy:problem:cannot-open', 400), {
      name: 'GatewayRefusalError',
      code: 'ERR_POLARIS_REFUSED',
      status: 400,
      message: /400: The title: The detail\./,
      problem: { type: 'urn:polaris-secure-proxy:problem:cannot-open' }
    }],
    [() => problem(
      'https://iana.org/assignments/http-problem-types#date', 400, { date: 'Mon, 01 Jan 2035 00:00:00 GMT' }
    ), {
      name: 'ClockError',
      code: 'ERR_POLARIS_CLOCK',
      gatewayTime: new Date('2035-01-01'),
      message: /gateway says 2035-01-01T00:00:00.000Z/
    }],
    [
      () => problem('https://iana.org/assignments/http-problem-types#date', 400),
      { code: 'ERR_POLARIS_CLOCK', gatewayTime: undefined }
    ],
    [() => new Response('<h1>Bad gateway</h1>', { status: 502, headers: { 'content-type': 'text/html' } }), {
      name: 'GatewayRefusalError',
      code: 'ERR_POLARIS_REFUSED',
      status: 502,
      problem: undefined,
      message: /in front of the gateway.*502/
    }],
    [
      () => new Response('not json', { status: 503, headers: { 'content-type': 'application/problem+json' } }),
      { code: 'ERR_POLARIS_REFUSED', status: 503 }
    ],
    [
      () => new Response('[]', { status: 503, headers: { 'content-type': 'application/problem+json' } }),
      { code: 'ERR_POLARIS_REFUSED', status: 503 }
    ],
    [() => problem('x'.repeat(70_000), 400), { code: 'ERR_POLARIS_REFUSED', problem: undefined }],
    [
      () => new Response('<html>', { headers: { 'content-type': 'text/html' } }),
      { code: 'ERR_POLARIS_NOT_A_GATEWAY', message: /baseURL/ }
    ],
    [() => new Response(null, { status: 204 }), { code: 'ERR_POLARIS_NOT_A_GATEWAY' }],
    [
      () => new Response('x', { headers: { 'content-type': 'message/ohttp-res' } }),
      { code: 'ERR_POLARIS_NOT_A_GATEWAY' }
    ],
    [
      () => new Response('', { headers: { 'content-type': 'message/ohttp-chunked-res' } }),
      { code: 'ERR_POLARIS_INCOMPLETE' }
    ],
    [
      () => new Response(new Uint8Array(200), { headers: { 'content-type': 'message/ohttp-chunked-res' } }),
      { code: 'ERR_POLARIS_RESPONSE' }
    ],
    [
      () => { throw new TypeError('fetch failed') },
      { code: 'ERR_POLARIS_CONNECTION', cause: TypeError, message: /may have been processed/ }
    ]
  ]
  for (const [answer, expected] of answers) {
    const { polarisFetch, count } = await gateway(t, answer)
    await t.rejects(polarisFetch('/', { method: 'POST', body: 'x' }), expected)
    t.strictSame(count, { keys: 1, requests: 1 })
  }
})

t.test('a clock that is off is named, with both times', async t => {
  const [proxy] = await startTwo(t)
  const underlying: typeof fetch = (input, init) => {
    // The gateway runs in this process, too, and its clock is right.
    if (init?.method === 'POST') mock.timers.reset()
    return fetch(input, init)
  }
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url, fetch: underlying })
  await polarisFetch('/')
  for (const [hours, code] of [[1, 'ERR_POLARIS_CLOCK'], [-1, 'ERR_POLARIS_CLOCK'], [0, undefined]] as const) {
    const now = Date.now()
    mock.timers.enable({ apis: ['Date'], now: now + hours * 3600_000 })
    const error = await polarisFetch('/').then(() => undefined, (error: ClockError) => error)
    mock.timers.reset()
    t.equal(error?.code, code)
    if (error === undefined) continue
    t.ok(Math.abs(error.clientTime.getTime() - now - hours * 3600_000) < 2000)
    t.ok(Math.abs((error.gatewayTime?.getTime() ?? 0) - now) < 60_000)
    await polarisFetch('/')
  }
})

t.test('keys are kept through refusals that have nothing to do with them', async t => {
  for (const [type, status, code] of [
    ['urn:polaris-secure-proxy:problem:overloaded', 503, 'ERR_POLARIS_REFUSED'],
    ['urn:polaris-secure-proxy:problem:too-many-requests', 429, 'ERR_POLARIS_REFUSED'],
    ['https://iana.org/assignments/http-problem-types#date', 400, 'ERR_POLARIS_CLOCK']
  ] as const) {
    const { polarisFetch, count } = await gateway(t, () => problem(type, status))
    for (let i = 0; i < 3; i++) await t.rejects(polarisFetch('/'), { code })
    t.strictSame(count, { keys: 1, requests: 3 }, 'an overloaded gateway is not asked for keys, too')
  }
})

t.test('after a refusal without a reason, keys are fetched anew before the next request', async t => {
  const { polarisFetch, count } = await gateway(t, () => problem('urn:polaris-secure-proxy:problem:cannot-open', 400))
  for (const requests of [1, 2]) {
    await t.rejects(polarisFetch('/'), { code: 'ERR_POLARIS_REFUSED' })
    t.strictSame(count, { keys: requests, requests })
  }
})
