/**
 * An auditor sent a victim's recorded v1 messages again, in other places and with a response key of her own, and read
 * what they said. A message is opened once, whatever it was then and whatever it comes as now.
 */
import { writeFileSync } from 'node:fs'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { createEphemeralProvider } from '../../../lib/platforms/local/ephemeral-keys.ts'
import { untilReady } from '../../fixtures/process.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import type { Proxy } from '../../fixtures/proxy.ts'
import { noRedis, startRedis } from '../../fixtures/redis.ts'
import { rsaKey } from '../../fixtures/rsa.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import type { V1Request } from '../../fixtures/v1-client.ts'
import { startWorkers } from '../../fixtures/workers.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const modes: ConfigInput = { enableInputEncryption: true, enableOutputEncryption: true }
const CANNOT_OPEN = 'urn:polaris-secure-proxy:problem:cannot-open'

async function setUp (t: Test, config: ConfigInput = {}) {
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...modes, ...config })
  return { workload, proxy, client: await v1Client(proxy.url) }
}

const send = ({ url }: Pick<Proxy, 'url'>, { headers, body }: V1Request, method = 'POST') => fetch(
  url, { method, headers, body }
)

async function isRefused (t: Test, response: Response, what: string): Promise<void> {
  t.equal(response.status, 400, what)
  t.match(await response.json(), { type: CANNOT_OPEN, title: 'Cannot open', status: 400 }, what)
}

const bytes = (base64 = '') => Uint8Array.from(Buffer.from(base64, 'base64'))

t.test('recorded messages are refused in every place, and reach no workload', async t => {
  const { workload, proxy, client } = await setUp(t)
  const victim = await client.request(
    { target: '/inbox?q=secret', headers: { authorization: 'Bearer secret' }, body: '/looks-like-a-path' }
  )
  t.equal((await send(proxy, victim)).status, 200)
  t.equal(workload.received.length, 1)

  const recorded = {
    url: victim.headers['polaris-url'] ?? '',
    headers: victim.headers['polaris-secure'] ?? '',
    body: Buffer.from(victim.body ?? '').toString('base64')
  }
  await isRefused(t, await send(proxy, victim), 'as it was')
  await isRefused(t, await send(proxy, { ...victim, body: null }, 'GET'), 'without its body')
  for (const [name, message] of Object.entries(recorded)) {
    const own = await client.request({ target: '/echo', body: 'x' })
    await isRefused(t, await send(proxy, { ...own, body: bytes(message) }), `${name} as a body`)
    const unbound = await client.request({ target: '/echo', body: 'x' })
    await isRefused(
      t, await send(proxy, { ...unbound, headers: { ...unbound.headers, 'polaris-secure': message } }),
      `${name} as headers`
    )
    // Without a copy of the url inside, any url goes.
    const headers = await client.seal(JSON.stringify({ 'polaris-response-public-key': client.responseKey }))
    const attack = {
      headers: { 'polaris-url': message, 'polaris-secure': headers, 'polaris-response-public-key': client.responseKey },
      body: null
    }
    await isRefused(t, await send(proxy, attack), `${name} as a url`)
  }
  t.equal(workload.received.length, 1)
  t.notMatch(proxy.log.join(''), /secret/)
})

t.test('one message written in another way is the same message', async t => {
  const { proxy, client } = await setUp(t)
  const victim = await client.request({ body: 'secret' })
  t.equal((await send(proxy, victim)).status, 200)
  const message = Buffer.from(victim.body ?? '')
  const length = message.readUInt32BE()
  const {
    wrappedKey, wrappedIV, authTag
  } = JSON.parse(message.toString('utf8', 4, 4 + length)) as Record<string, string>
  const others = [
    JSON.stringify({ authTag, wrappedIV, wrappedKey, more: 1 }),
    JSON.stringify(
      { wrappedKey: wrappedKey?.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''), wrappedIV, authTag }
    ),
    JSON.stringify({ wrappedKey: wrappedKey?.replace(/.{64}/g, '$&\n'), wrappedIV, authTag }, undefined, 2)
  ]
  for (const header of others) {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(Buffer.byteLength(header))
    const body = new Uint8Array(Buffer.concat([head, Buffer.from(header), message.subarray(4 + length)]))
    await isRefused(t, await send(proxy, { ...await client.request(), body }), header.slice(0, 20))
  }
})

t.test('the same message twice within one request is refused', async t => {
  const { workload, proxy, client } = await setUp(t, { v1AllowUnboundResponseKey: true })
  const headers = JSON.stringify({ 'polaris-response-public-key': client.responseKey })
  const message = await client.seal(headers)
  const outer = { 'polaris-response-public-key': client.responseKey }
  await isRefused(
    t, await send(proxy, { headers: { ...outer, 'polaris-secure': message }, body: bytes(message) }), 'headers and body'
  )
  const path = await client.seal('/x')
  await isRefused(t, await send(
    proxy,
    { headers: { ...outer, 'polaris-url': path, 'polaris-secure': await client.seal(headers) }, body: bytes(path) }
  ), 'url and body')
  t.equal(workload.received.length, 0)
})

t.test('of the same request many times at once, one is carried out', async t => {
  const { workload, proxy, client } = await setUp(t)
  const request = await client.request({ target: '/pay', body: 'once' })
  const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await send(proxy, request)).status))
  t.equal(statuses.filter(status => status === 200).length, 1)
  t.equal(statuses.filter(status => status === 400).length, 19)
  t.equal(workload.received.length, 1)
})

t.test('a request that was refused for another reason may come again; only what is authentic is ' +
  'remembered', async t => {
  const { proxy, client } = await setUp(t, { maxBodyBytes: 10_000 })
  const request = await client.request({ body: 'short' })
  const long = await client.request({ body: 'x'.repeat(10_001) })
  t.equal((await send(proxy, { ...request, body: long.body })).status, 413)
  const forged = Uint8Array.from(request.body ?? [])
  forged[forged.length - 1]! ^= 1
  await isRefused(t, await send(proxy, { ...request, body: forged }), 'a body that is not authentic')
  t.equal((await send(proxy, request)).status, 200)
})

t.test('it can be turned off, which is warned of at start', async t => {
  const { workload, proxy, client } = await setUp(t, { v1ReplayProtection: false })
  const request = await client.request({ body: 'again' })
  for (let i = 0; i < 3; i++) t.equal((await send(proxy, request)).status, 200)
  t.equal(workload.received.length, 3)
  t.match(proxy.log.join(''), /"level":40.*Recorded v1 requests can be sent again.*V1_REPLAY_PROTECTION=false/)
})

t.test('an ephemeral key gives way to a new one before its messages are too many; those sealed to it open for a ' +
  'while', async t => {
  const workload = await startWorkload(t)
  const keyProvider = createEphemeralProvider({ modulusLength: 2048, retireAfter: 2000 })
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, ...modes, v1ReplayCapacity: 1000 }, { keyProvider }
  )
  const publicKey = async () =>
    (await (await fetch(`${proxy.url}/polaris-container/publicKey`)).json() as { publicKey: string }).publicKey
  const old = await v1Client(proxy.url)
  const [before, first, held] = [await publicKey(), await old.request({ body: 'x' }), await old.request({ body: 'x' })]
  t.equal((await send(proxy, first)).status, 200)
  while (await publicKey() === before) {
    const requests = await Promise.all(Array.from({ length: 20 }, () => old.request({ target: '/x', body: 'x' })))
    await Promise.all(requests.map(async request => (await send(proxy, request)).arrayBuffer()))
  }
  t.match(proxy.log.join(''), /many v1 messages were remembered for the RSA key; continuing with a new one/)
  const present = await v1Client(proxy.url)
  t.equal((await send(proxy, await present.request({ body: 'x' }))).status, 200)
  t.equal((await send(proxy, held)).status, 200, 'sealed to the old key')
  await isRefused(t, await send(proxy, first), 'a message of the old key that was opened')
  while (keyProvider.retiring?.().length !== 0) await new Promise(resolve => setTimeout(resolve, 50))
  await isRefused(t, await send(proxy, await old.request({ body: 'x' })), 'a message to the key that is gone')
})

t.test('workers share what was opened', async t => {
  const { workload, server } = await startWorkers(t, {
    POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true', POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true'
  })
  const client = await v1Client(server.url)
  for (let round = 0; round < 5; round++) {
    const request = await client.request({ target: '/pay', body: 'once' })
    // Each on a connection of its own, which the workers take in turn.
    const statuses = await Promise.all(Array.from({ length: 8 }, async () =>
      (await fetch(
        server.url, { method: 'POST', headers: { ...request.headers, connection: 'close' }, body: request.body }
      )).status))
    t.equal(statuses.filter(status => status === 200).length, 1)
    t.equal(statuses.filter(status => status === 400).length, 7)
  }
  t.equal(workload.received.length, 5)
})

function keyFile (t: Test): string {
  const path = `${t.testdir({})}/key.pem`
  writeFileSync(path, rsaKey().privatePem, { mode: 0o600 })
  return path
}

t.test('replicas that share a key share what was opened, by the replay store', { skip: noRedis }, async t => {
  const workload = await startWorkload(t)
  const redis = await startRedis(t)
  const config: ConfigInput = {
    workloadBaseUrl: workload.url, ...modes, keyType: 'file', keyFile: keyFile(t), replayStore: redis.url
  }
  const replicas = [await startProxy(t, config), await startProxy(t, config)] as const
  for (const { url } of replicas) await untilReady(url)
  const client = await v1Client(replicas[0].url)
  for (let round = 0; round < 5; round++) {
    const request = await client.request({ target: '/pay', body: 'once' })
    const statuses = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => (await send(replicas[i % 2] ?? replicas[0], request)).status)
    )
    t.equal(statuses.filter(status => status === 200).length, 1)
  }
  t.equal(workload.received.length, 5)
  t.match(
    replicas[0].log.join(''), /"level":40.*Recorded v1 requests can be sent again after 3600 s.*the key lives longer/
  )
  t.ok(redis.cli('keys', 'polaris:replay:v1:*').trim().split('\n').length >= 15)

  await redis.kill()
  const response = await send(replicas[1], await client.request({ body: 'x' }))
  t.equal(response.status, 503, 'refused when in doubt')
  t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:replay-store' })
  const ready = await fetch(`${replicas[1].url}/polaris-container/readyz`)
  t.equal(ready.status, 503)
  t.match(await ready.text(), /v1 replay protection: no connection/)
})

t.test('a key that outlives the process, with its messages in memory, is warned of', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, ...modes, keyType: 'file', keyFile: keyFile(t), v1ReplayWindow: '10m' }
  )
  await untilReady(proxy.url)
  const request = await (await v1Client(proxy.url)).request({ body: 'x' })
  t.equal((await send(proxy, request)).status, 200)
  await isRefused(t, await send(proxy, request), 'again')
  t.match(proxy.log.join(''), /"level":40.*after 600 s and at every restart/)
})
