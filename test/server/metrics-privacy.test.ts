/**
 * Metrics leave the TEE: whatever clients and workloads send, nothing of it is in the page, every label has one of a
 * few values that are known beforehand, and the number of series is bounded.
 */
import { METHODS, request as httpRequest } from 'node:http'
import fc from 'fast-check'
import t from 'tap'
import { definitions } from '../../lib/metrics/catalogue.ts'
import { WORKLOAD_ERRORS } from '../../lib/metrics/passage.ts'
import { problemTypes } from '../../lib/http/problems.ts'
import { ehbpRequest, fetchEhbpKey } from '../fixtures/ehbp-client.ts'
import { adminOf, parsePage } from '../fixtures/metrics.ts'
import { encapsulate, fetchKey, requestHead } from '../fixtures/ohttp-client.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { v1Client } from '../fixtures/v1-client.ts'
import { startWorkload } from '../fixtures/workload.ts'

/** Long enough, and of such letters, that none can be in a page by chance. */
const token = fc.integer({ min: 36 ** 6, max: 36 ** 7 - 1 }).map(number => `zq${number.toString(36)}qz`)

const sent = fc.record({
  protocol: fc.constantFrom('plain', 'ohttp', 'ohttp-chunked', 'ehbp', 'polaris-v1'),
  method: fc.oneof(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
    fc.constantFrom(...METHODS.filter(method => method !== 'CONNECT' && method !== 'HEAD'))
  ),
  path: fc.array(token, { minLength: 1, maxLength: 3 }),
  query: token,
  headerName: token,
  headerValue: token,
  host: token,
  model: token,
  body: fc.string({ maxLength: 40 }),
  spoiled: fc.boolean(),
  answer: fc.record({ status: fc.constantFrom(200, 201, 204, 302, 404, 418, 500, 599), header: token, body: token })
})
type Sent = typeof sent extends fc.Arbitrary<infer T> ? T : never

/** The values that each label can have. */
const known: Readonly<Record<string, ReadonlySet<string>>> = Object.fromEntries(Object.entries({
  protocol: ['none', 'plain', 'polaris-v1', 'polaris-v1-response', 'ohttp', 'ohttp-chunked', 'ehbp'],
  status: ['none', '1xx', '2xx', '3xx', '4xx', '5xx'],
  problem: [...problemTypes.map(({ type }) => type.replace(/^.*[:#]/, '')), 'date-missing', 'ehbp-key'],
  outcome: [
    'done', 'failed', 'refused', 'new', 'seen', 'error', 'ok', 'transient', 'configuration', 'busy', 'unopened'
  ],
  store: ['requests', 'v1-messages'],
  kind: ['rsa', 'hpke', ...WORKLOAD_ERRORS],
  state: ['pending', 'active', 'retiring', 'waiting', 'fresh', 'grace', 'failed', 'open', 'idle'],
  platform: ['none'],
  service: ['keys', 'attestation'],
  worker: ['1'],
  quantile: ['0.5', '0.99', '1'],
  version: [],
  node: [process.versions.node],
  le: Object.values(definitions).flatMap(
    ({ buckets = [] }: { buckets?: readonly number[] }) => buckets.map(String)
  ).concat('+Inf')
}).map(([label, values]) => [label, new Set<string>(values)]))

t.test('whatever is sent, and answered, the page has nothing of it', async t => {
  let next: Sent['answer'] = { status: 200, header: '', body: '' }
  const workload = await startWorkload(t, (request, response) => {
    request.resume()
    response.writeHead(
      next.status, { 'x-answer': next.header, 'content-type': `text/${next.header}` }
    ).end(next.status === 204 ? undefined : next.body)
  })
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, adminAddress: '127.0.0.1:0', enableEhbp: true, attestationType: 'none' }
  )
  const v1Proxy = await startProxy(t, {
    workloadBaseUrl: workload.url,
    adminAddress: '127.0.0.1:0',
    enableInputEncryption: true,
    enableOutputEncryption: true,
    attestationType: 'none'
  })
  const pages = [adminOf(proxy.log), adminOf(v1Proxy.log)]
  const key = await fetchKey(proxy.url)
  const ehbpKey = await fetchEhbpKey(proxy.url)
  const v1 = await v1Client(v1Proxy.url)

  async function send (
    { protocol, method, path, query, headerName, headerValue, host, model, body, spoiled }: Sent
  ): Promise<void> {
    const target = `/${path.join('/')}?${query}=${query}`
    const content = Buffer.from(JSON.stringify({ model, body }))
    const headers = {
      [`x-${headerName}`]: headerValue, host: `${host}.example`, authorization: `Bearer ${headerValue}`
    }
    const spoil = (bytes: Uint8Array): Buffer => {
      const copy = Buffer.from(bytes)
      if (spoiled && copy.length > 0) copy[copy.length - 1]! ^= 1
      return copy
    }
    switch (protocol) {
      case 'plain':
        return deliver(proxy.url, method, target, headers, content)
      case 'ehbp': {
        const request = await ehbpRequest(ehbpKey, content)
        return deliver(proxy.url, 'POST', target, { ...headers, ...request.headers }, spoil(request.body))
      }
      case 'polaris-v1': {
        const request = await v1.request({ target, headers, body: content })
        return deliver(v1Proxy.url, 'POST', '/', request.headers, spoil(request.body ?? Buffer.alloc(0)))
      }
      default: {
        const head = requestHead(method, target, Object.entries({ ...headers, host: `${host}.example` }))
        const request = await encapsulate(key, head, content, { chunked: protocol === 'ohttp-chunked' })
        return deliver(
          proxy.url, 'POST', '/.well-known/ohttp-gateway', { 'content-type': request.contentType },
          spoil(request.message)
        )
      }
    }
  }

  let lines = 0
  await fc.assert(fc.asyncProperty(fc.array(sent, { minLength: 1, maxLength: 5 }), async all => {
    for (const one of all) {
      next = one.answer
      await send(one)
    }
    const tokens = all.flatMap(({ path, query, headerName, headerValue, host, model, answer }) =>
      [...path, query, headerName, headerValue, host, model, answer.header, answer.body])
    for (const admin of pages) {
      const page = await admin.page()
      for (const text of tokens) if (page.includes(text)) throw new Error(`the page has ${text}`)
      for (const { name, labels } of parsePage(page)) {
        for (const [label, value] of Object.entries(labels)) {
          if (label !== 'version' && known[label]?.has(value) !== true) {
            throw new Error(`${name} has ${label}="${value}"`)
          }
        }
      }
      lines = Math.max(lines, page.split('\n').length)
    }
  }), { numRuns: 40, interruptAfterTimeLimit: 60_000 })
  t.comment(`${lines} lines`)
  t.ok(lines < 2500)
})

t.test('so many paths, hosts and methods that do not exist make no more series than one', async t => {
  const workload = await startWorkload(t, (request, response) => { request.resume().on('end', () => response.end()) })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, adminAddress: '127.0.0.1:0' })
  const admin = adminOf(proxy.log)
  const send = (i: number) => deliver(
    proxy.url, i % 2 === 0 ? 'GET' : 'POST', `/${i}`,
    { host: `${i}.example`, [`x-${i}`]: String(i), 'content-type': `text/x-${i}` }, Buffer.from(String(i))
  )
  for (let i = 0; i < 20; i++) await send(i)
  const names = async () =>
    (await admin.page()).split('\n').map(line => line.replace(/ \S+$/, '')).filter(line => !line.startsWith('#')).sort()
  const before = await names()
  for (let i = 20; i < 320; i++) await send(i)
  t.strictSame(await names(), before)
})

/** Whatever comes back. */
function deliver (
  url: string, method: string, path: string, headers: Record<string, string>, body: Uint8Array
): Promise<void> {
  return new Promise(resolve => {
    httpRequest(url + path, {
      method, headers: { ...headers, 'content-length': body.length }, agent: false
    }, response => {
      response.resume().once('close', resolve)
    }).once('error', () => resolve()).end(body)
  })
}
