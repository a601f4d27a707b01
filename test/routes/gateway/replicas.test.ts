/** Two proxies that share a replay store forward each request once between them. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { createHpkeRing } from '../../../lib/keys/hpke/ring.ts'
import { KEM_X25519 } from '../../../lib/protocols/ohttp/suites.ts'
import { createAuthority } from '../../fixtures/certificates.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../fixtures/ohttp-client.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { noRedis, startRedis } from '../../fixtures/redis.ts'
import { freePort, startServer, untilReady } from '../../fixtures/process.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const skip = noRedis

/** Rings that make the same keys, as those of replicas do. */
function sharedRing () {
  return createHpkeRing({
    rotation: 86_400_000,
    retirement: 3_600_000,
    kemIds: [KEM_X25519],
    secrets: { earliest: undefined, firstKeyId: 0, secret: epoch => new Uint8Array(32).fill(epoch % 251) }
  })
}

const readyz = async (url: string) => (await fetch(`${url}/polaris-container/readyz`)).json() as Promise<{
  status: string, reasons?: string[]
}>

t.test('a request is forwarded once, whichever of two proxies it is sent to', { skip }, async t => {
  const redis = await startRedis(t)
  const workload = await startWorkload(t)
  const config = { workloadBaseUrl: workload.url, replayStore: redis.url }
  const one = await startProxy(t, config, { hpkeRing: sharedRing() })
  const other = await startProxy(t, config, { hpkeRing: sharedRing() })
  await Promise.all([one, other].map(({ url }) => untilReady(url)))
  const key = await fetchKey(one.url)
  t.strictSame(await fetchKey(other.url), key)

  for (const chunked of [true, false]) {
    const request = await encapsulate(key, requestHead('POST', '/'), Buffer.from('x'), { chunked })
    t.equal((await request.open(await send(one.url, request))).status, 200)
    const replay = await send(other.url, request)
    t.equal(replay.status, 400)
    t.match(await replay.json(), { type: 'urn:polaris-secure-proxy:problem:cannot-open' })
  }
  const before = workload.received.length
  const contested = await encapsulate(key, requestHead('POST', '/'), Buffer.from('x'))
  const statuses = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    const response = await send((i % 2 === 0 ? one : other).url, contested)
    await response.arrayBuffer()
    return response.status
  }))
  t.equal(statuses.filter(status => status === 200).length, 1)
  t.equal(workload.received.length, before + 1)
  t.equal(redis.cli('dbsize').trim(), '3')
  const [name = ''] = redis.cli('keys', '*').trim().split('\n')
  const left = Number(redis.cli('pttl', name))
  t.ok(
    left > 60_000 && left <= 2 * 151_000,
    `remembered for ${left} ms more, twice as long as the Date inside is acceptable`
  )
})

t.test('while the store is down nothing is forwarded and readyz says so; once it is back all is well', {
  skip
}, async t => {
  const redis = await startRedis(t)
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, replayStore: redis.url })
  await untilReady(url)
  const key = await fetchKey(url)
  const attempt = async () => {
    const request = await encapsulate(key, requestHead('POST', '/'), Buffer.from('x'))
    const response = await send(url, request)
    await response.arrayBuffer()
    return response.status
  }
  t.equal(await attempt(), 200)
  await redis.kill()
  t.equal(await attempt(), 503)
  t.match((await readyz(url)).reasons, [/^replay protection: no connection/])
  t.equal((await fetch(url)).status, 200, 'what is not encapsulated does not need it')
  await redis.start()
  await untilReady(url)
  t.equal(await attempt(), 200)

  redis.freeze()
  t.equal(await attempt(), 503, 'a store that hangs is down, too')
  while ((await readyz(url)).status === 'ok') await setTimeout(50)
  redis.thaw()
  await untilReady(url)
  t.equal(await attempt(), 200)
  t.equal(workload.received.filter(({ method }) => method === 'POST').length, 3)
})

t.test('over TLS, with a user and a password, and a CA that Node is told of, the store is used', { skip }, async t => {
  const folder = t.testdir()
  const authority = createAuthority()
  const { keyPem, certPem } = authority.issue(['localhost'])
  for (const [name, pem] of Object.entries({ key: keyPem, cert: certPem, ca: authority.certPem })) {
    writeFileSync(join(folder, `${name}.pem`), pem)
  }
  const tlsPort = await freePort()
  const redis = await startRedis(t, [
    '--tls-port', String(tlsPort), '--tls-cert-file', join(folder, 'cert.pem'), '--tls-key-file',
    join(folder, 'key.pem'), '--tls-auth-clients', 'no',
    '--user', 'proxy', 'on', '>secret-word', '~polaris:replay:*', 'resetchannels', '-@all', '+set', '+info'
  ])
  const workload = await startWorkload(t)
  const { url } = await startServer(t, {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
    POLARIS_CONTAINER_REPLAY_STORE: `rediss://proxy:secret-word@localhost:${tlsPort}/0`,
    NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem')
  })
  await untilReady(url)
  const request = await encapsulate(await fetchKey(url), requestHead('POST', '/'), Buffer.from('x'))
  t.equal((await request.open(await send(url, request))).status, 200)
  t.equal((await send(url, request)).status, 400)
  t.equal(redis.cli('dbsize').trim(), '1')
})

t.test('a store that accepts and never answers lets nothing through', async t => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => { silent.close() })
  const workload = await startWorkload(t)
  const { url } = await startProxy(
    t, { workloadBaseUrl: workload.url, replayStore: `redis://127.0.0.1:${(silent.address() as AddressInfo).port}` }
  )
  const request = await encapsulate(await fetchKey(url), requestHead('POST', '/'), Buffer.from('x'))
  t.equal((await send(url, request)).status, 503)
  t.match((await readyz(url)).reasons, [/^replay protection: (connecting|no connection)/])
  t.equal(workload.received.length, 0)
})

t.test('the URL of the store, with its password, is in no line of the log', { skip }, async t => {
  const redis = await startRedis(t, ['--requirepass', 'correct-horse'])
  const workload = await startWorkload(t)
  for (const password of ['correct-horse', 'battery-staple']) {
    const server = await startServer(t, {
      POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
      POLARIS_CONTAINER_LOG_LEVEL: 'trace',
      POLARIS_CONTAINER_REPLAY_STORE: `redis://:${password}@127.0.0.1:${redis.port}/0`
    })
    await server.line(/replay store/)
    const request = await encapsulate(await fetchKey(server.url), requestHead('GET', '/'))
    t.equal((await send(server.url, request)).status, password === 'correct-horse' ? 200 : 503)
    if (password === 'correct-horse') {
      await redis.kill()
      await server.line(/disconnected/)
      await redis.start()
    }
    server.child.kill('SIGTERM')
    t.equal(await server.exit, 0)
    const output = server.lines.join('\n') + server.stderr()
    t.notMatch(output, new RegExp(`correct-horse|battery-staple|redis://|:${redis.port}`))
    t.equal(server.stderr(), '', 'and the client library says nothing on its own')
  }
})
