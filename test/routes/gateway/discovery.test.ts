/** Where clients find the keys, and which requests the gateway takes. */
import t from 'tap'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../../../lib/protocols/ohttp/suites.ts'
import { decodeKeyConfigs } from '../../../lib/protocols/ohttp/key-config.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../fixtures/ohttp-client.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawExchange, statusOf } from '../../fixtures/raw.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const GATEWAY = '/.well-known/ohttp-gateway'
const workloadBaseUrl = 'http://127.0.0.1:9'

const maxAge = (response: Response) => Number(
  /^public, max-age=(\d+)$/.exec(response.headers.get('cache-control') ?? '')?.[1]
)

t.test('the keys are handed out as application/ohttp-keys, to GET and HEAD', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl })
  const response = await fetch(url + GATEWAY, { headers: { accept: 'application/ohttp-keys' } })
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), 'application/ohttp-keys')
  t.equal(maxAge(response), 3600)
  const octets = new Uint8Array(await response.arrayBuffer())
  const configs = decodeKeyConfigs(octets)
  t.strictSame(configs.map(({ kemId, suites }) => ({ kemId, suites })), [
    { kemId: KEM_X25519, suites: [1, 2, 3].map(aeadId => ({ kdfId: 1, aeadId })) }
  ])
  const head = await fetch(url + GATEWAY, { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(head.headers.get('content-type'), 'application/ohttp-keys')
  t.equal(head.headers.get('content-length'), String(octets.length))
  t.equal((await head.arrayBuffer()).byteLength, 0)
  t.equal((await fetch(`${url}${GATEWAY}?x=1`)).status, 200, 'with a query, too')
})

t.test('with post-quantum keys the hybrid comes first, and both work', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, hpkePostQuantum: true })
  const configs = decodeKeyConfigs(new Uint8Array(await (await fetch(url + GATEWAY)).arrayBuffer()))
  t.strictSame(configs.map(({ kemId }) => kemId), [KEM_MLKEM768_X25519, KEM_X25519])
  for (const config of configs) {
    for (const suite of config.suites) {
      const request = await encapsulate({ ...config, suites: [suite] }, requestHead('POST', '/'), Buffer.from('x'))
      t.equal((await request.open(await send(url, request))).status, 200, `KEM ${config.kemId}, AEAD ${suite.aeadId}`)
    }
  }
})

t.test('max-age does not outlive the key', async t => {
  for (const [hpkeRotation, hpkeRetirement, most] of [
    ['10s', '0s', 10], ['10s', '5s', 15], ['500ms', '400ms', 0]
  ] as const) {
    const { url } = await startProxy(t, { workloadBaseUrl, hpkeRotation, hpkeRetirement })
    const before = Date.now()
    const age = maxAge(await fetch(url + GATEWAY))
    const { keys } = await (await fetch(`${url}/polaris-container/keys`)).json() as {
      keys: {
        state: string, notAfter: string
      }[]
    }
    const end = Date.parse(keys.find(({ state }) => state === 'active')?.notAfter ?? '')
    t.ok(age <= most && before + age * 1000 <= end, `${age} s, rotation every ${hpkeRotation}`)
  }
})

t.test('keys rotate under load without a failure', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, hpkeRotation: '300ms', hpkeRetirement: '5s' })
  const ids = new Set<number>()
  const statuses = new Set<number>()
  async function client () {
    for (let i = 0; i < 3; i++) {
      const key = await fetchKey(url)
      ids.add(key.keyId)
      for (let j = 0; j < 15; j++) {
        const request = await encapsulate(key, requestHead('POST', '/'), Buffer.from('x'), { chunked: j % 2 === 0 })
        statuses.add((await request.open(await send(url, request))).status)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    }
  }
  await Promise.all([client(), client(), client()])
  t.strictSame([...statuses], [200])
  t.ok(ids.size > 1, `${ids.size} keys were used`)
})

t.test('/polaris-container/keys tells of all keys, and holds nothing secret', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl })
  const response = await fetch(`${url}/polaris-container/keys`)
  t.match(response.headers.get('content-type'), /^application\/json/)
  const { keys } = await response.json() as { keys: Record<string, string>[] }
  t.match(keys.map(({ protocol, state, algorithm }) => [protocol, state, algorithm]), [
    ['ohttp', 'active', 'X25519'], ['ohttp', 'pending', 'X25519'], ['polaris-v1', 'active', /RSA/]
  ])
  const [active, pending, rsa] = keys as [Record<string, string>, Record<string, string>, Record<string, string>]
  const config = await fetchKey(url)
  t.equal(active['keyId'], String(config.keyId))
  t.equal(active['publicKey'], Buffer.from(config.publicKey).toString('base64url'))
  t.equal(Date.parse(pending['notBefore'] ?? ''), Date.parse(active['notBefore'] ?? '') + 86_400_000)
  t.equal(Date.parse(active['notAfter'] ?? ''), Date.parse(pending['notBefore'] ?? '') + 3_600_000)
  t.match(rsa['publicKey'], /^-----BEGIN PUBLIC KEY-----/)
  for (const key of keys) {
    t.strictSame(Object.keys(key).filter(
      name => !['protocol', 'keyId', 'algorithm', 'state', 'notBefore', 'notAfter', 'publicKey'].includes(name)
    ), [])
  }
})

t.test('keys that never rotate have no end', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl, hpkeRotation: '0' })
  const { keys } = await (await fetch(`${url}/polaris-container/keys`)).json() as { keys: Record<string, string>[] }
  t.strictSame(
    keys.filter(({ protocol }) => protocol === 'ohttp').map(({ state, notAfter }) => [state, notAfter]),
    [['active', undefined]]
  )
})

t.test('below a context root the gateway is there and at the root', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, contextRoot: '/proxy' })
  for (const root of ['', '/proxy']) {
    const octets = new Uint8Array(await (await fetch(url + root + GATEWAY)).arrayBuffer())
    const [config] = decodeKeyConfigs(octets)
    if (config === undefined) throw new Error('no key')
    const request = await encapsulate(config, requestHead('GET', '/inside'))
    t.equal((await request.open(await send(url + root + GATEWAY, request))).status, 200)
    t.equal(workload.received.at(-1)?.url, '/inside', 'the inner target has no context root to remove')
  }
})

t.test('without OHTTP there is no gateway, and its media types are like any other', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableOhttp: false })
  for (const method of ['GET', 'HEAD', 'POST']) {
    const response = await fetch(url + GATEWAY, { method })
    t.equal(response.status, 404)
    t.equal(response.headers.get('content-type'), 'application/problem+json')
  }
  t.equal(workload.received.length, 0)
  const response = await fetch(
    `${url}/x`, { method: 'POST', headers: { 'content-type': 'message/ohttp-req' }, body: 'x' }
  )
  t.equal(response.status, 200)
  t.equal(workload.received[0]?.body.toString(), 'x', 'which in clear is the workload\'s affair')
  const { keys } = await (await fetch(`${url}/polaris-container/keys`)).json() as { keys: Record<string, string>[] }
  t.notOk(keys.some(({ protocol }) => protocol === 'ohttp'))
})

t.test('a POST of anything else to the gateway is refused', async t => {
  const workload = await startWorkload(t)
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const type of [
    'application/json', 'message/ohttp-res', 'message/bhttp', 'message/ohttp-reqx', 'message/ohttp'
  ]) {
    const response = await fetch(url + GATEWAY, { method: 'POST', headers: { 'content-type': type }, body: '{}' })
    t.equal(response.status, 415, type)
    t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:unsupported-media-type' })
  }
  const untyped = await rawExchange(
    t, port, `POST ${GATEWAY} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi`
  )
  t.equal(statusOf(untyped), 415, 'no media type')
  t.equal(workload.received.length, 0)
  t.equal((await fetch(
    `${url}/elsewhere`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
  )).status, 200)
})

t.test('the media type is read as RFC 9110 writes it', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  const key = await fetchKey(url)
  for (const chunked of [true, false]) {
    for (const spell of [
      (type: string) => `${type}; charset=x`, (type: string) => `${type};a="b;c"`, (type: string) => type.toUpperCase(),
      (type: string) => `${type} ; q=1`
    ]) {
      const request = await encapsulate(key, requestHead('GET', '/'), undefined, { chunked })
      const response = await send(url, { ...request, contentType: spell(request.contentType) })
      t.equal((await request.open(response)).status, 200, spell(request.contentType))
    }
  }
})

for (const enableInputEncryption of [false, true]) {
  for (const enableOutputEncryption of [false, true]) {
    t.test(`OHTTP is served with input encryption ${enableInputEncryption}, output encryption ` +
      `${enableOutputEncryption}`, async t => {
      const workload = await startWorkload(t)
      const { url } = await startProxy(
        t, { workloadBaseUrl: workload.url, enableInputEncryption, enableOutputEncryption }
      )
      const key = await fetchKey(url)
      for (const chunked of [true, false]) {
        for (const path of ['/', GATEWAY, '/any/path', '/%zz', '/a//b/../c?x=%00']) {
          const request = await encapsulate(key, requestHead('POST', '/inner'), Buffer.from('x'), { chunked })
          t.equal((await request.open(await send(url + path, request))).status, 200, path)
        }
      }
      t.ok(workload.received.every(({ url }) => url === '/inner'))
    })
  }
}

t.test('where encryption is required, what is neither v1 nor OHTTP is refused', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  const cases: [string, RequestInit][] = [
    ['/', {}], ['/x', { method: 'POST', body: 'x' }],
    ['/', { method: 'PUT', headers: { 'content-type': 'message/ohttp-req' }, body: 'x' }],
    ['/', { method: 'GET', headers: { 'content-type': 'message/ohttp-chunked-req' } }],
    ['/', { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: 'x' }],
    ['/', { method: 'POST', headers: { 'content-type': 'text/plain, message/ohttp-req' }, body: 'x' }]
  ]
  for (const [path, init] of cases) {
    const response = await fetch(url + path, init)
    t.equal(response.status, 400)
    t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:encryption-required' })
  }
  t.equal(workload.received.length, 0)
})

t.test('browsers on other origins may use the gateway', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl })
  const keys = await fetch(url + GATEWAY, { headers: { origin: 'https://app.example' } })
  t.equal(keys.headers.get('access-control-allow-origin'), '*')
  const preflight = await fetch(url + GATEWAY, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type'
    }
  })
  t.equal(preflight.status, 204)
  t.match(preflight.headers.get('access-control-allow-methods'), /POST/)
  t.equal(preflight.headers.get('access-control-allow-headers'), 'content-type')
})

t.test('keys go on to rotate once their ids begin again', async t => {
  // 128 rotations with two KEMs: ids are used a second time.
  const { url, log } = await startProxy(
    t, { workloadBaseUrl, hpkeRotation: '10ms', hpkeRetirement: '10ms', hpkePostQuantum: true }
  )
  const rotations = () => log.filter(line => line.includes('"HPKE keys"')).length
  while (rotations() < 140) await new Promise(resolve => { setTimeout(resolve, 50) })
  const { keyId } = await fetchKey(url)
  const before = rotations()
  while (rotations() < before + 3) await new Promise(resolve => { setTimeout(resolve, 10) })
  t.not((await fetchKey(url)).keyId, keyId)
})
