/**
 * Keys are fetched when they are needed and no sooner, and by all at once only once. Without usable ones nothing is
 * sent.
 */
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../../../../lib/protocols/ohttp/suites.ts'
import { encodeKeyConfigs } from '../../../../lib/protocols/ohttp/key-config.ts'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { countingFetch } from '../../../fixtures/counting-fetch.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const workload = await startWorkload(t)
const config = { workloadBaseUrl: workload.url, enableInputEncryption: true }

/** Members of an error. */
interface Expected { code: string, [member: string]: unknown }

const withHeader = (name: string, value: string | undefined) => async (response: Response) => {
  const headers = new Headers(response.headers)
  headers.delete('cache-control')
  if (value !== undefined) headers.set(name, value)
  return new Response(await response.arrayBuffer(), { status: response.status, headers })
}

t.test('keys are fetched once, for many requests at once and for later ones', async t => {
  const proxy = await startProxy(t, config)
  const { count, fetch } = countingFetch()
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url, fetch })
  t.strictSame(count, { keys: 0, requests: 0 })
  await Promise.all(Array.from({ length: 20 }, () => polarisFetch('/')))
  await polarisFetch('/')
  t.strictSame(count, { keys: 1, requests: 21 })
})

t.test('they are kept as long as Cache-Control says', async t => {
  const proxy = await startProxy(t, config)
  for (const [name, value, fetches] of [
    ['cache-control', 'public, max-age=100', 1], ['cache-control', 'max-age=0', 3],
    ['cache-control', 'no-store, max-age=100', 3], ['cache-control', 'no-cache', 3],
    ['cache-control', 'MAX-AGE="100"', 1], ['cache-control', 'private', 1], ['cache-control', undefined, 1]
  ] as const) {
    const { count, fetch } = countingFetch(withHeader(name, value))
    const polarisFetch = createPolarisFetch({ baseURL: proxy.url, fetch })
    for (let i = 0; i < 3; i++) await polarisFetch('/')
    t.equal(count.keys, fetches, String(value))
  }
  const { count, fetch } = countingFetch(async response => {
    const headers = new Headers(
      { 'content-type': 'application/ohttp-keys', 'cache-control': 'max-age=100', age: '100' }
    )
    return new Response(await response.arrayBuffer(), { headers })
  })
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url, fetch })
  for (let i = 0; i < 3; i++) await polarisFetch('/')
  t.equal(count.keys, 3, 'time spent in caches counts')
})

t.test('a key that is rotated while it is cached goes on working, then is replaced', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, hpkeRotation: '1s', hpkeRetirement: '1s' })
  const { count, fetch } = countingFetch(withHeader('cache-control', 'max-age=3600'))
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url, fetch })
  for (const until = Date.now() + 4500; Date.now() < until;) {
    t.equal((await polarisFetch('/', { method: 'POST', body: 'x' })).status, 200)
    await new Promise(resolve => { setTimeout(resolve, 100) })
  }
  t.ok(count.keys >= 2, 'the client learned of new keys')
  t.ok(count.requests > count.keys)
})

async function keysFrom (t: Test, listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return createPolarisFetch({ baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

t.test('without usable keys nothing is sent, and the error says what is wrong', async t => {
  const type = 'application/ohttp-keys'
  const proxy = await startProxy(t, config)
  const keys = Buffer.from(await (await fetch(`${proxy.url}/.well-known/ohttp-gateway`)).arrayBuffer())
  const cases: [name: string, listener: RequestListener, expected: Expected][] = [
    [
      'HTML', (_, response) => { response.setHeader('content-type', 'text/html'); response.end('<html>') },
      { code: 'ERR_POLARIS_NOT_A_GATEWAY', message: /"text\/html".*baseURL/ }
    ],
    [
      '404', (_, response) => { response.writeHead(404).end() },
      { code: 'ERR_POLARIS_NOT_A_GATEWAY', message: /status 404/ }
    ],
    [
      'the right octets as another type', (_, response) => { response.end(keys) }, { code: 'ERR_POLARIS_NOT_A_GATEWAY' }
    ],
    [
      'garbage', (_, response) => { response.setHeader('content-type', type); response.end(Buffer.alloc(100, 1)) },
      { code: 'ERR_POLARIS_NOT_A_GATEWAY', message: /malformed/ }
    ],
    [
      'truncated keys',
      (_, response) => { response.setHeader('content-type', type); response.end(keys.subarray(0, -1)) },
      { code: 'ERR_POLARIS_NOT_A_GATEWAY' }
    ],
    [
      'endless keys',
      (_, response) => { response.setHeader('content-type', type); response.end(Buffer.alloc(100_000)) },
      { code: 'ERR_POLARIS_NOT_A_GATEWAY' }
    ],
    [
      'no keys', (_, response) => { response.setHeader('content-type', type); response.end() },
      { code: 'ERR_POLARIS_NO_USABLE_KEY' }
    ],
    [
      '503 with a problem',
      (_, response) => {
        response.writeHead(503, { 'content-type': 'application/problem+json' }).end(
          '{"type":"x","detail":"The proxy is starting."}'
        )
      },
      { code: 'ERR_POLARIS_KEYS_UNAVAILABLE', message: /503: The proxy is starting\./ }
    ],
    [
      '502 with HTML', (_, response) => { response.writeHead(502, { 'content-type': 'text/html' }).end('<html>') },
      { code: 'ERR_POLARIS_KEYS_UNAVAILABLE', message: /502/ }
    ],
    [
      'a redirect', (_, response) => { response.writeHead(302, { location: '/elsewhere' }).end() },
      { code: 'ERR_POLARIS_KEYS_UNAVAILABLE' }
    ],
    [
      'a reset', request => { request.socket.resetAndDestroy() },
      { code: 'ERR_POLARIS_KEYS_UNAVAILABLE', message: /Nothing was sent/ }
    ],
    ['half an answer', (request, response) => {
      response.writeHead(
        200, { 'content-type': type, 'content-length': 100 }
      ).write('x', () => request.socket.destroy())
    }, { code: 'ERR_POLARIS_KEYS_UNAVAILABLE', message: /broke off/ }]
  ]
  for (const [name, listener, expected] of cases) {
    let posts = 0
    const polarisFetch = await keysFrom(t, (request, response) => {
      if (request.method === 'POST') posts++
      listener(request, response)
    })
    await t.rejects(
      polarisFetch('/', { method: 'POST', body: 'secret' }), { name: 'PolarisFetchError', ...expected }, name
    )
    t.equal(posts, 0)
  }
})

t.test('a gateway that hangs is given up when the caller gives up', async t => {
  const polarisFetch = await keysFrom(t, () => undefined)
  await t.rejects(polarisFetch('/', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
})

t.test('a failure is not remembered', async t => {
  const proxy = await startProxy(t, config)
  let fails = true
  const flaky: typeof fetch = (input, init) => fails
    ? Promise.reject(new TypeError('fetch failed'))
    : fetch(input, init)
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url, fetch: flaky })
  await t.rejects(polarisFetch('/'), { code: 'ERR_POLARIS_KEYS_UNAVAILABLE' })
  fails = false
  t.equal((await polarisFetch('/')).status, 200)
})

t.test('post-quantum keys are preferred, required or left alone', async t => {
  for (const [hpkePostQuantum, postQuantum, kemId] of [
    [true, undefined, KEM_MLKEM768_X25519], [true, 'require', KEM_MLKEM768_X25519], [true, 'never', KEM_X25519],
    [false, 'prefer', KEM_X25519], [false, 'require', undefined]
  ] as const) {
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, hpkePostQuantum })
    let used: number | undefined
    const underlying: typeof fetch = (input, init) => {
      if (init?.body instanceof Uint8Array) used = Buffer.from(init.body).readUInt16BE(1)
      return fetch(input, init)
    }
    const polarisFetch = createPolarisFetch(
      { baseURL: proxy.url, fetch: underlying, ...postQuantum && { postQuantum } }
    )
    if (kemId === undefined) {
      await t.rejects(
        polarisFetch('/'), { code: 'ERR_POLARIS_NO_USABLE_KEY', message: /post-quantum/ }
      )
    } else t.equal((await polarisFetch('/')).status, 200)
    t.equal(used, kemId)
  }
})

t.test('a key that nothing can be encrypted to is no usable key', async t => {
  // Its shared secret would be zero with everyone (RFC 9180, section 7.1.4).
  const octets = encodeKeyConfigs(
    [{ keyId: 1, kemId: KEM_X25519, publicKey: new Uint8Array(32), suites: [{ kdfId: 1, aeadId: 1 }] }]
  )
  const polarisFetch = createPolarisFetch(
    { baseURL: 'https://proxy.example', keys: async () => ({ octets, maxAge: 60 }) }
  )
  await t.rejects(
    polarisFetch('/'), { name: 'PolarisFetchError', code: 'ERR_POLARIS_NO_USABLE_KEY', message: /Nothing was sent/ }
  )
})

t.test('keys can come from elsewhere', async t => {
  const proxy = await startProxy(t, config)
  const asked: unknown[] = []
  const polarisFetch = createPolarisFetch({
    baseURL: proxy.url,
    keys: async ({ baseURL, gatewayURL }, kind) => {
      asked.push([baseURL, gatewayURL, kind])
      return { octets: new Uint8Array(await (await fetch(gatewayURL)).arrayBuffer()), maxAge: 60 }
    }
  })
  t.equal((await polarisFetch('/')).status, 200)
  await polarisFetch('/')
  t.strictSame(asked, [[proxy.url, `${proxy.url}/.well-known/ohttp-gateway`, 'ohttp-keys']])
})
