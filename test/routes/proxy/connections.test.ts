/** Clients that send slowly do not keep the workload from others. */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, statusOf } from '../../fixtures/raw.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const POST = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nx'

type Client = Awaited<ReturnType<typeof rawClient>>
const isRefused = (client: Client) => statusOf(client.text()) === 503

/** The clients that were refused, once there are as many. */
async function refusedOf (clients: readonly Client[], count: number): Promise<Client[]> {
  while (clients.filter(isRefused).length < count) await setTimeout(10)
  return clients.filter(isRefused)
}

t.test('the unfinished uploads of one client hold half of the connections, and the others are served ' +
  'meanwhile', async t => {
  const workload = await startWorkload(t)
  const { url, port } = await startProxy(
    t, { workloadBaseUrl: workload.url, workloadConnections: 8, workloadConnectTimeout: '1s' }
  )
  const clients = await Promise.all(Array.from({ length: 8 }, () => rawClient(t, port)))
  for (const client of clients) client.send(POST)
  const refused = await refusedOf(clients, 4)
  await setTimeout(50)
  t.equal(clients.filter(isRefused).length, 4, 'and no more')
  for (const { text } of refused) {
    t.match(text(), 'urn:polaris-secure-proxy:problem:overloaded')
    t.match(text(), /\r\nretry-after: \d+\r\n/i)
  }
  for (let i = 0; i < 20; i++) t.equal((await fetch(url)).status, 200)
  t.equal((await fetch(`${url}/polaris-container/readyz`)).status, 200)
  // What one gives up, another may have.
  for (const client of clients) client.socket.destroy()
  await setTimeout(100)
  t.equal((await fetch(url, { method: 'POST', body: 'y'.repeat(100_000) })).status, 200)
})

t.test('another client, as a trusted proxy names it, has a share of its own', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url, workloadConnections: 4, trustProxy: 'true' })
  const clients = await Promise.all(['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'].map(async address => {
    const client = await rawClient(t, port)
    client.send(POST.replace('host: x', `host: x\r\nx-forwarded-for: ${address}`))
    return client
  }))
  t.equal((await refusedOf(clients, 1)).length, 1)
  clients[3]?.send('x'.repeat(999))
  t.equal(statusOf(await clients[3]?.until('200 OK') ?? ''), 200)
})

t.test('when every connection is taken, requests wait, then get 503, and readyz says so', async t => {
  const held: (() => void)[] = []
  const workload = await startWorkload(t, (_request, response) => { held.push(() => response.end('ok')) })
  const { url } = await startProxy(
    t, { workloadBaseUrl: workload.url, workloadConnections: 2, workloadConnectTimeout: '300ms' }
  )
  const first = [fetch(url), fetch(url)]
  while (held.length < 2) await setTimeout(10)
  const late = await fetch(url)
  t.equal(late.status, 503)
  t.match(await late.json(), { type: 'urn:polaris-secure-proxy:problem:overloaded' })
  const ready = await fetch(`${url}/polaris-container/readyz`)
  t.equal(ready.status, 503)
  t.match(await ready.json(), { reasons: ['workload: all connections are in use'] })

  const waiting = fetch(url)
  await setTimeout(50)
  for (const answer of held.splice(0)) answer()
  for (const response of await Promise.all(first)) t.equal(response.status, 200)
  while (held.length < 1) await setTimeout(10)
  for (const answer of held.splice(0)) answer()
  t.equal((await waiting).status, 200, 'one that waited')
  t.equal((await fetch(`${url}/polaris-container/readyz`)).status, 200)
})

t.test('a client that gives up while it waits takes no connection', async t => {
  const held: (() => void)[] = []
  const workload = await startWorkload(t, (_request, response) => { held.push(() => response.end('ok')) })
  const { url, port } = await startProxy(
    t, { workloadBaseUrl: workload.url, workloadConnections: 1, workloadConnectTimeout: '5s' }
  )
  const first = fetch(url)
  while (held.length < 1) await setTimeout(10)
  const client = await rawClient(t, port)
  client.send('GET /gone HTTP/1.1\r\nhost: x\r\n\r\n')
  await setTimeout(50)
  client.socket.destroy()
  await setTimeout(50)
  held.pop()?.()
  await (await first).text()
  const second = fetch(url)
  while (held.length < 1) await setTimeout(10)
  t.equal(held.length, 1, 'only that of the second')
  held.pop()?.()
  t.equal((await second).status, 200)
})

for (const [sent, name] of [
  ['content-length: 100000\r\n\r\n', 'a known length'], ['transfer-encoding: chunked\r\n\r\n', 'chunks']
] as const) {
  t.test(`an upload of ${name} below the least rate ends with 408; one above it, or without a least rate, does ` +
    'not', async t => {
    const workload = await startWorkload(t)
    for (const [clientMinRate, bytes, expected] of [
      [1000, 1, 408], [1000, 200, undefined], [0, 1, undefined]
    ] as const) {
      const { port } = await startProxy(t, { workloadBaseUrl: workload.url, clientIdleTimeout: '500ms', clientMinRate })
      const client = await rawClient(t, port)
      client.send(`POST / HTTP/1.1\r\nhost: x\r\n${sent}`)
      const piece = name === 'chunks' ? `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n` : 'x'.repeat(bytes)
      for (let i = 0; i < 30 && client.text() === ''; i++) {
        client.send(piece)
        await setTimeout(60)
      }
      t.equal(client.text() === '' ? undefined : statusOf(client.text()), expected, `${clientMinRate}, ${bytes}`)
    }
  })
}
