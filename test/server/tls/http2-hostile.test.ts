/**
 * Attacks on HTTP/2 that are known by name, each on a connection of its own: the connection ends, what it had is given
 * back, and others are served meanwhile.
 */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { FRAME, GET, ask, block, frame, frameClient, http2Client } from '../../fixtures/http2.ts'
import type { FrameClient } from '../../fixtures/http2.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { servingTls } from '../../fixtures/tls.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const END_STREAM = 1
const END_HEADERS = 4
const CODES = { protocol: 1, flood: 11 } as const

async function setUp (t: Test) {
  let requests = 0
  const headers: string[] = []
  const workload = await startWorkload(t, (request, response) => {
    requests++
    headers.push(...request.rawHeaders)
    request.resume()
    response.end('served')
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0 })
  const port = await servingTls(proxy)
  return { port, client: await frameClient(t, port), requests: () => requests, headers }
}

/** The server has ended the connection, and serves others. */
async function survives (t: Test, port: number, client: FrameClient) {
  await Promise.race([client.end, setTimeout(20_000)])
  t.equal(client.socket.destroyed, true, 'the connection ends')
  t.equal((await ask(await http2Client(t, port), { ':path': '/' })).status, 200, 'others are served')
}

const get = (stream: number, fields: readonly (number | readonly [string, string])[] = GET) =>
  frame(FRAME.headers, END_STREAM | END_HEADERS, stream, block(fields))
const odd = (i: number) => 2 * i + 1

t.test('CVE-2023-44487, rapid reset: requests taken back at once', async t => {
  const { port, client, requests } = await setUp(t)
  const cancel = Buffer.from([0, 0, 0, 8])
  for (let i = 0; i < 5000 && !client.socket.destroyed; i++) {
    client.send(get(odd(i)), frame(FRAME.reset, 0, odd(i), cancel))
    if (i % 100 === 99) await setTimeout(1)
  }
  await survives(t, port, client)
  t.ok(requests() < 1000, `${requests()} of 5000 reached the workload`)
})

t.test('CVE-2025-8671, made you reset: the server is brought to take them back itself', async t => {
  const { port, client } = await setUp(t)
  for (let i = 0; i < 5000 && !client.socket.destroyed; i++) {
    // An increment of 0 is an error of the stream.
    client.send(get(odd(i)), frame(FRAME.window, 0, odd(i), Buffer.alloc(4)))
    if (i % 100 === 99) await setTimeout(1)
  }
  await survives(t, port, client)
})

for (const [name, one] of [
  ['CVE-2019-9512, ping flood', () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
  ['CVE-2019-9515, settings flood', () => frame(FRAME.settings, 0, 0)]
] as const) {
  t.test(`${name}: the answers are not taken`, async t => {
    const { port, client } = await setUp(t)
    client.socket.pause()
    for (let i = 0; i < 300 && !client.socket.destroyed; i++) {
      client.send(...Array.from({ length: 1000 }, one))
      await setTimeout(1)
    }
    client.socket.resume()
    await survives(t, port, client)
  })
}

t.test('CVE-2019-9516 and CVE-2024-27983, headers that never end: CONTINUATION flood', async t => {
  const { port, client } = await setUp(t)
  client.send(frame(FRAME.headers, END_STREAM, 1, block(GET)))
  for (let i = 0; i < 2000 && !client.socket.destroyed; i++) {
    client.send(frame(FRAME.continuation, 0, 1, block([[`x-${i}`, 'y'.repeat(100)]])))
    if (i % 100 === 99) await setTimeout(1)
  }
  await survives(t, port, client)
})

t.test('CVE-2016-1544 and CVE-2016-6581, header bomb: small blocks that unpack to large headers', async t => {
  const { port, client, requests } = await setUp(t)
  // One entry of 3 KB in the dynamic table, then named 1000 times.
  const value = 'z'.repeat(3000)
  const entry = Buffer.concat([
    Buffer.of(0x40, 1), Buffer.from('b'), Buffer.of(127, ...[value.length - 127].flatMap(n => [n % 128 + 128, n >> 7])),
    Buffer.from(value)
  ])
  const bomb = Buffer.concat([block(GET), entry, Buffer.alloc(1000, 0x80 | 62)])
  client.send(frame(FRAME.headers, END_STREAM | END_HEADERS, 1, bomb))
  await setTimeout(500)
  t.equal(requests(), 0)
  const refused = client.arrived.some(({ type }) => type === FRAME.reset || type === FRAME.goaway)
  t.ok(refused || client.arrived.some(({ type, stream }) => type === FRAME.headers && stream === 1), 'it is answered')
  t.equal((await ask(await http2Client(t, port), { ':path': '/' })).status, 200, 'others are served')
})

t.test('headers over the limit, in size or number, reach no workload', async t => {
  const { port, client, requests } = await setUp(t)
  client.send(get(1, [...GET, ...Array.from({ length: 600 }, (_, i) => [`x-${i}`, 'y'] as const)]))
  await setTimeout(300)
  t.equal(requests(), 0)
  const session = await http2Client(t, port)
  const answer = await ask(session, { ':path': '/', 'x-large': 'y'.repeat(60_000), 'x-more': 'y'.repeat(10_000) })
    .catch((error: NodeJS.ErrnoException) => ({ status: error.code }))
  t.not(answer.status, 200)
  t.equal(requests(), 0)
})

t.test('CVE-2019-9511 and 9517, data dribble: responses that are not taken hold no more than buffers', async t => {
  const body = Buffer.alloc(2 ** 20)
  let written = 0
  const workload = await startWorkload(t, (_request, response) => {
    const write = () => {
      if (!response.destroyed && response.write(body)) setImmediate(write)
      else response.once('drain', write)
      written++
    }
    write()
  })
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0, clientIdleTimeout: '500ms' }
  )
  const port = await servingTls(proxy)
  const client = await frameClient(t, port)
  // A window of nothing: not a byte may be sent.
  client.send(frame(FRAME.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0])), get(1))
  while (!client.arrived.some(({ type, stream }) => type === FRAME.reset && stream === 1)) await setTimeout(20)
  t.ok(written < 64)
  t.ok(proxy.log.some(line => line.includes('client stopped reading its response')))
})

t.test('what is no HTTP/2 ends the connection with the reason', async t => {
  for (const [name, frames, code] of [
    ['a stream of the server', [get(2)], CODES.protocol],
    ['data without a request', [frame(FRAME.data, 0, 1, Buffer.from('x'))], CODES.protocol],
    ['a frame within headers', [frame(FRAME.headers, 0, 1, block(GET)), frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
      CODES.protocol]
  ] as const) {
    const { port, client } = await setUp(t)
    client.send(...frames)
    await survives(t, port, client)
    t.equal(client.arrived.find(({ type }) => type === FRAME.goaway)?.code, code, name)
  }
  for (const fields of [
    [[':method', 'GET'], [':path', '/'], [':scheme', 'https'], ['connection', 'close']],
    [...GET, ['transfer-encoding', 'chunked']],
    [...GET, ['X-Upper', '1']],
    [...GET, [':path', '/twice']],
    [2, 7, [':path', '/a b'], [':authority', 'x']],
    [2, 7, [':path', '/\r\nx: y'], [':authority', 'x']]
  ] as const) {
    const { port, client, requests } = await setUp(t)
    client.send(get(1, fields))
    await setTimeout(200)
    t.equal(requests(), 0, JSON.stringify(fields))
    t.equal((await ask(await http2Client(t, port), { ':path': '/' })).status, 200)
  }
})

t.test('a value that would be several lines in HTTP/1.1 is left out', async t => {
  const { client, headers, requests } = await setUp(t)
  client.send(get(1, [...GET, ['x-lines', 'a\r\nx-injected: c'], ['x-nul', 'a\0b'], ['x-fine', 'd']]))
  while (requests() === 0) await setTimeout(20)
  t.ok(headers.includes('x-fine'))
  for (const name of ['x-lines', 'x-nul', 'x-injected']) t.notOk(headers.includes(name), name)
})

t.test('priorities are ignored', async t => {
  const { client } = await setUp(t)
  for (let i = 0; i < 200; i++) client.send(frame(FRAME.priority, 0, odd(i), Buffer.from([0, 0, 0, 0, 16])))
  client.send(get(odd(300)))
  while (!client.arrived.some(({ type, stream }) => type === FRAME.headers && stream === odd(300))) await setTimeout(20)
  t.pass('and the request behind them is answered')
})
