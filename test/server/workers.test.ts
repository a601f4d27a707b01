/** Several processes serve as one: with the same keys, and each request once. */
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { encapsulate, fetchKey, requestHead } from '../fixtures/ohttp-client.ts'
import { startServer, untilReady } from '../fixtures/process.ts'
import { v1Client } from '../fixtures/v1-client.ts'
import { isAlive, pids, startWorkers, until } from '../fixtures/workers.ts'

const GATEWAY = '/.well-known/ohttp-gateway'

/** POSTs on a connection of its own, as a client does that just came. */
async function post (url: string, headers: Record<string, string>, body: Uint8Array | null): Promise<Response> {
  const sent = httpRequest(
    url, { method: 'POST', agent: new Agent(), headers: { ...headers, connection: 'close' } }
  ).end(body ?? undefined)
  const [answer] = await once(sent, 'response') as [IncomingMessage]
  const chunks = await answer.toArray() as Buffer[]
  return new Response(
    Buffer.concat(chunks),
    { status: answer.statusCode ?? 0, headers: { 'content-type': answer.headers['content-type'] ?? '' } }
  )
}

t.test('OHTTP and v1 work on whichever worker a connection comes to', async t => {
  const { server, workload } = await startWorkers(t, {
    POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true', POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true'
  })
  const key = await fetchKey(server.url)
  const client = await v1Client(server.url)
  for (let i = 0; i < 10; i++) {
    const request = await encapsulate(
      key, requestHead('POST', `/ohttp/${i}`), Buffer.from('inside'), { chunked: i % 2 === 0 }
    )
    const inner = await request.open(
      await post(server.url + GATEWAY, { 'content-type': request.contentType }, request.message)
    )
    t.match(JSON.parse(inner.body.toString()), { url: `/ohttp/${i}` })
    const { headers, body } = await client.request({ target: `/v1/${i}`, body: 'inside' })
    t.match(JSON.parse((await client.open(await post(server.url, headers, body))).toString()), { url: `/v1/${i}` })
  }
  t.equal(workload.received.length, 20)

  // Only of what is refused is there a line that tells who did it.
  for (let i = 0; i < 4; i++) t.equal((await post(server.url, {}, null)).status, 400)
  t.equal(pids(server, /"request refused"/).size, 2, 'both answer')
})

t.test('a request that is sent on many connections at once is forwarded once', async t => {
  const { server, workload } = await startWorkers(t)
  const request = await encapsulate(await fetchKey(server.url), requestHead('POST', '/once'))
  const answers = await Promise.all(Array.from(
    { length: 20 }, () => post(server.url + GATEWAY, { 'content-type': request.contentType }, request.message)
  ))
  const served = answers.filter(({ status }) => status === 200)
  t.equal(served.length, 1)
  t.equal((await request.open(served[0]!)).status, 200)
  t.ok(answers.filter(answer => answer !== served[0]).every(({ status }) => status === 400))
  t.equal(workload.received.length, 1)
})

t.test('a worker is not ready before the primary has keys', async t => {
  const server = await startServer(t, {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9',
    POLARIS_CONTAINER_WORKERS: '2',
    POLARIS_CONTAINER_KEY_TYPE: 'file',
    POLARIS_CONTAINER_KEY_FILE: `${t.testdir()}/missing.pem`
  })
  for (let i = 0; i < 4; i++) {
    const response = await fetch(`${server.url}/polaris-container/readyz`, { headers: { connection: 'close' } })
    t.equal(response.status, 503)
    t.match(await response.json(), { reasons: [/^keys: /] })
  }
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
})

t.test('a worker that is killed is replaced by one with the same keys', async t => {
  const { server } = await startWorkers(
    t, { POLARIS_CONTAINER_HPKE_ROTATION: '2s', POLARIS_CONTAINER_HPKE_RETIREMENT: '3m' }
  )
  const before = await fetchKey(server.url)
  const publicKey = await (await fetch(`${server.url}/polaris-container/publicKey`)).json()
  // Keys of an epoch that is over are to be there, too.
  while ((await fetchKey(server.url)).keyId === before.keyId) await setTimeout(50)

  // One after the other, or the port, which is any, would be another one.
  for (const [i, pid] of [...pids(server, /"Server listening/)].entries()) {
    process.kill(pid, 'SIGKILL')
    await until(() => pids(server, /"Server listening/).size === 3 + i)
  }
  await untilReady(server.url)
  t.equal(server.lines.filter(line => line.includes('a worker exited; starting another')).length, 2)

  for (let i = 0; i < 6; i++) {
    const request = await encapsulate(before, requestHead('GET', `/${i}`))
    t.equal((await request.open(
      await post(server.url + GATEWAY, { 'content-type': request.contentType }, request.message)
    )).status, 200)
  }
  t.same(await (await fetch(`${server.url}/polaris-container/publicKey`)).json(), publicKey)
  const all = [...pids(server, /"Server listening/)]
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
  t.same(all.filter(isAlive), [])
})
