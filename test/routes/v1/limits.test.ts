/** Buffered bodies are limited one by one and all together; private-key work is limited too. */
import { EventEmitter, once } from 'node:events'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { createEphemeralProvider } from '../../../lib/platforms/local/ephemeral-keys.ts'
import type { KeyProvider } from '../../../lib/keys/provider.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, statusOf } from '../../fixtures/raw.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import type { V1Request } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

/** Some send one request several times. */
const modes: ConfigInput = { enableInputEncryption: true, enableOutputEncryption: true, v1ReplayProtection: false }
const lines = ({ headers }: V1Request) =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')

/** Answers with as many octets as the target says, compressed where it says so. */
async function sizes (t: Test) {
  return startWorkload(t, (request, response) => {
    request.resume().on('end', () => {
      const [, size, gzip] = /^\/(\d+)(gzip)?/.exec(request.url ?? '') ?? []
      const body = Buffer.alloc(Number(size))
      if (gzip === undefined) response.end(body)
      else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body))
    })
  })
}

t.test('a request body is accepted up to the limit, and 413 beyond', async t => {
  const workload = await startWorkload(
    t, (request, response) => { request.resume().on('end', () => response.end('ok')) }
  )
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, maxBodyBytes: 10_000, ...modes })
  const client = await v1Client(url)
  for (const [size, status] of [[0, 200], [9_999, 200], [10_000, 200], [10_001, 413], [200_000, 413]] as const) {
    const { headers, body } = await client.request({ target: '/x', body: new Uint8Array(size) })
    const response = await fetch(url, { method: 'POST', headers, body })
    t.equal(response.status, status, `${size} octets of known length`)
    if (status === 413) t.equal(response.headers.get('content-type'), 'application/problem+json')
    const chunked = await fetch(
      url, { method: 'POST', headers, body: new Blob([body ?? '']).stream(), duplex: 'half' } as RequestInit
    )
    t.equal(chunked.status, status, `${size} octets, chunked`)
  }
})

t.test('a length over the limit is refused before anything is read of the body, or decrypted of it', async t => {
  const workload = await startWorkload(t)
  const inner = createEphemeralProvider({ modulusLength: 2048 })
  let unwraps = 0
  const keyProvider: KeyProvider = {
    ...inner,
    unwrap (keyId, wrapped) {
      unwraps++
      return inner.unwrap(keyId, wrapped)
    }
  }
  const { url, port } = await startProxy(
    t, { workloadBaseUrl: workload.url, maxBodyBytes: 10_000, ...modes }, { keyProvider }
  )
  const request = await (await v1Client(url)).request({ target: '/x' })
  const client = await rawClient(t, port)
  client.send(`POST / HTTP/1.1\r\nhost: x\r\n${lines(request)}content-length: 1000000\r\n\r\n`)
  t.equal(statusOf(await client.end), 413)
  t.ok(unwraps <= 4, `${unwraps} private-key operations`)
  t.same(workload.received, [])
})

t.test('a response is accepted up to the limit, counted without its coding, and 502 beyond', async t => {
  const { url: workloadBaseUrl } = await sizes(t)
  const { url } = await startProxy(t, { workloadBaseUrl, maxBodyBytes: 10_000, ...modes })
  const client = await v1Client(url)
  for (const [target, status] of [
    ['/10000', 200], ['/10001', 502], ['/10000gzip', 200], ['/10001gzip', 502], ['/100000000gzip', 502]
  ] as const) {
    const response = await fetch(url, await client.request({ target }))
    t.equal(response.status, status, target)
    if (status === 502) t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:upstream-invalid' })
  }
})

t.test('past what all buffers may hold together requests get 503 with Retry-After, and are served again ' +
  'later', async t => {
  let release: () => void = () => undefined
  const held = new Promise<void>(resolve => { release = resolve })
  const events = new EventEmitter()
  const inside = once(events, 'request')
  const workload = await startWorkload(t, (request, response) => {
    events.emit('request')
    request.resume().on('end', () => held.then(() => response.end('ok')))
  })
  const { url } = await startProxy(
    t, { workloadBaseUrl: workload.url, maxBodyBytes: 2 ** 20, maxBufferedBytes: 2 ** 20, ...modes }
  )
  const client = await v1Client(url)
  const request = { method: 'POST', ...await client.request({ target: '/x', body: new Uint8Array(600_000) }) }
  const first = fetch(url, request)
  await inside
  const second = await fetch(url, request)
  t.equal(second.status, 503)
  t.equal(second.headers.get('retry-after'), '1')
  t.match(await second.json(), { type: 'urn:polaris-secure-proxy:problem:overloaded' })
  release()
  t.equal((await first).status, 200)
  await (await first).arrayBuffer()
  t.equal((await fetch(url, request)).status, 200)
})

t.test('past the limit of private-key work requests get 503 with Retry-After, and do not take it from the ' +
  'others', async t => {
  const workload = await startWorkload(t)
  const inner = createEphemeralProvider({ modulusLength: 2048 })
  let unwraps = 0
  const keyProvider: KeyProvider = {
    ...inner,
    unwrap (keyId, wrapped) {
      unwraps++
      return inner.unwrap(keyId, wrapped)
    }
  }
  const { url } = await startProxy(
    t, { workloadBaseUrl: workload.url, maxPendingUnwraps: 12, ...modes }, { keyProvider }
  )
  const client = await v1Client(url)
  const request = await client.request({ target: '/x', body: 'y' })
  const counts = { served: 0, shed: 0 }
  await Promise.all(Array.from({ length: 30 }, async () => {
    const response = await fetch(url, { method: 'POST', ...request })
    if (response.status === 503) {
      counts.shed++
      t.equal(response.headers.get('retry-after'), '1')
      t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:overloaded' })
    } else {
      counts.served++
      t.match((await client.open(response)).toString(), '/x')
    }
  }))
  t.ok(counts.served > 0 && counts.shed > 0, JSON.stringify(counts))
  t.equal(unwraps, 6 * counts.served, 'no private-key operation was spent on a request that was turned away')
  t.equal((await fetch(url, { method: 'POST', ...request })).status, 200)
})

t.test('a provider whose own queue is full is told of as 503, too', async t => {
  const workload = await startWorkload(t)
  const keyProvider = createEphemeralProvider({ modulusLength: 2048, maxPending: 1, concurrency: 1 })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ...modes }, { keyProvider })
  const response = await fetch(url, await (await v1Client(url)).request({ target: '/x' }))
  t.equal(response.status, 503)
  t.equal(response.headers.get('retry-after'), '1')
})

t.test('before the keys are there encrypted requests get 503 with Retry-After; the proxy listens and ' +
  'lives', async t => {
  const workload = await startWorkload(t)
  const inner = createEphemeralProvider({ modulusLength: 2048 })
  const keyProvider: KeyProvider = { ...inner, status: () => ({ ready: false, reason: 'not yet' }) }
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ...modes }, { keyProvider })
  const response = await fetch(url, { headers: { 'polaris-url': 'x', 'polaris-response-public-key': 'x' } })
  t.equal(response.status, 503)
  t.equal(response.headers.get('retry-after'), '1')
  t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:not-ready' })
  t.equal((await fetch(`${url}/polaris-container/livez`)).status, 200)
})

t.test('with several key versions the newest is published and messages to the older ones open', async t => {
  const workload = await startWorkload(t)
  const [newer, older, foreign] = await Promise.all(['n', 'o', 'f'].map(async () => {
    const provider = createEphemeralProvider({ modulusLength: 2048 })
    await provider.ready
    return provider
  }))
  if (newer === undefined || older === undefined || foreign === undefined) throw new Error('no keys')
  const versions = [newer, older]
  const keyProvider: KeyProvider = {
    ...newer,
    publicKeys: () => versions.flatMap(version => version.publicKeys()),
    async unwrap (keyId, wrapped) {
      const version = versions.find(version => version.publicKeys()[0]?.keyId === keyId)
      t.ok(version, 'asked for a published key')
      return (version ?? newer).unwrap(keyId, wrapped)
    }
  }
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ...modes }, { keyProvider })
  const { publicKey } = await (await fetch(`${url}/polaris-container/publicKey`)).json() as { publicKey: string }
  t.equal(publicKey, newer.publicKeys()[0]?.pem)

  for (const [provider, status] of [[newer, 200], [older, 200], [foreign, 400]] as const) {
    const other = await startProxy(t, { workloadBaseUrl: workload.url }, { keyProvider: provider })
    const client = await v1Client(other.url)
    const response = await fetch(
      url, { method: 'POST', ...await client.request({ target: '/x', headers: { 'x-y': 'z' }, body: 'body' }) }
    )
    t.equal(response.status, status)
    if (status === 200) {
      t.match(
        JSON.parse((await client.open(response)).toString()),
        { url: '/x', headers: { 'x-y': 'z' }, body: Buffer.from('body').toString('base64') }
      )
    }
  }

  // Messages of one request are for one key.
  const mixed = await v1Client((await startProxy(t, { workloadBaseUrl: workload.url }, { keyProvider: older })).url)
  const { headers } = await (await v1Client(url)).request({ target: '/x' })
  const { body } = await mixed.request({ body: 'x' })
  t.equal((await fetch(url, { method: 'POST', headers, body })).status, 400)
})

t.test('a body that ends before its header, or within it, cannot be opened', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ...modes })
  const client = await v1Client(url)
  const { headers, body } = await client.request({ target: '/x', body: 'some text' })
  const whole = Buffer.from(body ?? '')
  const cuts = [1, 3, 4, 5, 100, whole.length - 10, whole.length - 9, whole.length - 1]
  for (const cut of cuts) {
    const response = await fetch(url, { method: 'POST', headers, body: new Uint8Array(whole.subarray(0, cut)) })
    t.equal(response.status, 400, `${cut} of ${whole.length} octets`)
  }
  t.same(workload.received, [])
})

t.test('a body that arrives octet by octet opens', async t => {
  const workload = await startWorkload(t)
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url, ...modes })
  const request = await (await v1Client(url)).request({ target: '/x', body: 'octet by octet' })
  const client = await rawClient(t, port)
  client.socket.setNoDelay(true)
  const length = `content-length: ${request.body?.length}\r\n`
  client.send(`POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines(request)}${length}\r\n`)
  for (const octet of request.body ?? []) {
    client.send(new Uint8Array([octet]))
    await new Promise(resolve => setImmediate(resolve))
  }
  t.equal(statusOf(await client.end), 200)
  t.equal(workload.received[0]?.body.toString(), 'octet by octet')
})
