/** Limits of clients, as they see them: in one process, in a group of workers, and in replicas that share a Redis. */
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { encapsulate, fetchKey, requestHead } from '../fixtures/ohttp-client.ts'
import { untilReady } from '../fixtures/process.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { noRedis, startRedis } from '../fixtures/redis.ts'
import { pids, startWorkers, until } from '../fixtures/workers.ts'
import { startWorkload } from '../fixtures/workload.ts'

type Headers = Record<string, string>

async function ask (
  url: string, headers: Headers = {}
): Promise<{ status: number, headers: IncomingMessage['headers'], body: string }> {
  const [answer] = await once(
    httpRequest(url, { agent: new Agent(), headers: { ...headers, connection: 'close' } }).end(), 'response'
  ) as [IncomingMessage]
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    body: Buffer.concat(await answer.toArray() as Buffer[]).toString()
  }
}

const statuses = async (count: number, url: string, headers?: Headers) => {
  const found: number[] = []
  for (let i = 0; i < count; i++) found.push((await ask(url, headers)).status)
  return found
}
const served = (found: number[]) => found.filter(status => status === 200).length

t.test('a client over its rate gets 429 with Retry-After and the RateLimit fields, and others are served', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, trustProxy: '127.0.0.1', clientRequestRate: 1, clientBurst: 3 }
  )
  const first = await ask(proxy.url)
  t.match(first.headers, { 'ratelimit-policy': '"requests";q=3;w=3', ratelimit: '"requests";r=2;t=1' })
  let count = 1
  let refused = await ask(proxy.url)
  // On a slow machine, more than the burst.
  for (; refused.status === 200; count++) refused = await ask(proxy.url)
  t.ok(count >= 3)
  t.equal(refused.status, 429)
  t.match(JSON.parse(refused.body), { type: 'urn:polaris-secure-proxy:problem:too-many-requests', status: 429 })
  t.match(refused.headers, { 'retry-after': /^[1-3]$/, ratelimit: /^"requests";r=0;t=[123]$/ })
  t.equal(
    (await ask(proxy.url, { 'x-forwarded-for': '192.0.2.7' })).status, 200, 'another client, by way of a trusted proxy'
  )
  t.equal((await ask(`${proxy.url}/polaris-container/readyz`)).status, 200, 'probes are not limited')
  await setTimeout(Number(refused.headers['retry-after']) * 1000)
  t.equal((await ask(proxy.url)).status, 200, 'after the time that was said')
})

t.test('it is refused before anything is opened', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, clientBytesPerMinute: 60, clientKeyHeader: 'x-tenant' }
  )
  const key = await fetchKey(proxy.url)
  const request = await encapsulate(key, requestHead('POST', '/x'))
  const send = (tenant: string) => fetch(
    `${proxy.url}/.well-known/ohttp-gateway`,
    { method: 'POST', headers: { 'content-type': request.contentType, 'x-tenant': tenant }, body: request.message }
  )
  while ((await ask(proxy.url, { 'x-tenant': 'a' })).status !== 429) await setTimeout(10)
  t.equal((await send('a')).status, 429)
  t.equal((await request.open(await send('b'))).status, 200, 'so that it is no replay')
})

t.test('a header tells clients apart, if the operator names it', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, clientBytesPerMinute: 60, clientKeyHeader: 'X-Tenant' }
  )
  for (const headers of [{ 'x-tenant': 'secret-a' }, { 'x-tenant': 'secret-b' }, {}] as Headers[]) {
    t.equal((await ask(proxy.url, headers)).status, 200, 'without the header, the address counts')
    while ((await ask(proxy.url, headers)).status !== 429) await setTimeout(10)
  }
  t.notOk(proxy.log.some(line => line.includes('secret-')))
})

t.test('exchanges at once, and bytes per minute', async t => {
  const workload = await startWorkload(t, (request, response) => {
    request.resume()
    if (request.url === '/large') response.end(Buffer.alloc(50_000))
    else if (request.url !== '/wait') response.end()
  })
  const busy = await startProxy(t, { workloadBaseUrl: workload.url, clientConcurrency: 2 })
  const leaving = new AbortController()
  const waiting = [0, 1].map(() => fetch(`${busy.url}/wait`, { signal: leaving.signal }).catch(() => undefined))
  while ((await ask(busy.url)).status !== 429) await setTimeout(10)
  leaving.abort()
  await Promise.all(waiting)
  while ((await ask(busy.url)).status !== 200) await setTimeout(10)

  const heavy = await startProxy(t, { workloadBaseUrl: workload.url, clientBytesPerMinute: 60_000 })
  t.equal(served(await statuses(2, `${heavy.url}/large`)), 2)
  let answer = await ask(heavy.url)
  while (answer.status !== 429) answer = await ask(heavy.url)
  t.ok(Number(answer.headers['retry-after']) > 10)
})

t.test('workers count together', async t => {
  const { server } = await startWorkers(
    t, { POLARIS_CONTAINER_CLIENT_REQUEST_RATE: '1', POLARIS_CONTAINER_CLIENT_BURST: '6' }
  )
  const began = performance.now()
  const found = served(await statuses(20, server.url))
  const most = 6 + Math.ceil((performance.now() - began) / 1000)
  t.ok(found >= 6 && found <= most, `${found} of at most ${most}`)
})

t.test('what a killed worker had open is free again', async t => {
  const { promise: held, resolve: hold } = Promise.withResolvers<void>()
  const { server } = await startWorkers(t, { POLARIS_CONTAINER_CLIENT_CONCURRENCY: '1' }, (request, response) => {
    if (request.url === '/wait') hold()
    else response.end()
  })
  const waiting = once(httpRequest(`${server.url}/wait`, { agent: new Agent() }).end(), 'error')
  await held
  t.strictSame(await statuses(6, server.url), Array(6).fill(429), 'in either worker')
  // One after the other, or the port, which is any, would be another one.
  for (const [i, pid] of [...pids(server, /"Server listening/)].entries()) {
    process.kill(pid, 'SIGKILL')
    await until(() => pids(server, /"Server listening/).size === 3 + i)
  }
  t.match(await waiting, [{ code: 'ECONNRESET' }])
  while ((await ask(server.url)).status !== 200) await setTimeout(10)
})

t.test('three replicas count together in their Redis, and each for itself while it is down', {
  skip: noRedis
}, async t => {
  const workload = await startWorkload(t)
  const redis = await startRedis(t)
  const replicas = await Promise.all([0, 1, 2].map(() => startProxy(t, {
    workloadBaseUrl: workload.url,
    replayStore: redis.url,
    clientRequestRate: 1,
    clientBurst: 6,
    clientKeyHeader: 'x-tenant'
  })))
  const turns = async (tenant: string) => {
    const began = performance.now()
    const found: number[] = []
    for (let i = 0; i < 24; i++) found.push((await ask(replicas[i % 3]!.url, { 'x-tenant': tenant })).status)
    return { count: served(found), most: 6 + Math.ceil((performance.now() - began) / 1000) }
  }
  await Promise.all(replicas.map(({ url }) => untilReady(url)))
  const together = await turns('tenant-a')
  t.ok(together.count >= 6 && together.count <= together.most, `${together.count} of at most ${together.most}`)
  const keys = redis.cli('keys', 'polaris:limits:*')
  t.notMatch(keys, /tenant|127\.0\.0\.1/, 'Redis has neither names nor addresses')
  t.match(
    redis.cli('ttl', keys.trim().split('\n').find(key => !key.includes('hash-key')) ?? ''), /^[1-9]/, 'and not for ever'
  )

  await redis.kill()
  const alone = await turns('tenant-b')
  t.ok(alone.count >= 18, `${alone.count}: six in each`)
  for (const { log } of replicas) {
    t.equal(log.filter(line => line.includes('client limits count in this instance alone')).length, 1)
  }
  await redis.start()
  for (const { url, log } of replicas) {
    while (!log.some(line => line.includes('client limits are shared again'))) {
      await ask(url, { 'x-tenant': `tenant-${Math.random()}` })
      await setTimeout(50)
    }
  }
  const again = await turns('tenant-c')
  t.ok(again.count >= 6 && again.count <= again.most, `${again.count} of at most ${again.most}`)
})
