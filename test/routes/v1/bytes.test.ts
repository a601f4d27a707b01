/**
 * What passes through v1 keeps its bytes and its end: headers above ASCII, requests of unusual form, responses that are
 * cut.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, startRawWorkload, statusOf } from '../../fixtures/raw.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import type { V1Request } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const modes = { enableInputEncryption: true, enableOutputEncryption: true }
const lines = ({ headers }: V1Request) =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')

/** Sends a request byte for byte, and returns the head of the response as it stood on the wire, with the status. */
async function exchange (
  t: Test, { url, port }: { url: string, port: number }, method: string, framing: string, parts = {}
) {
  const request = await (await v1Client(url)).request({ target: '/x', ...parts })
  const client = await rawClient(t, port)
  const framed = framing.replace('LENGTH', String(request.body?.length))
  client.send(`${method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines(request)}${framed}\r\n`)
  return { client, request }
}

for (const size of [0, 1, 2 ** 16, 2 ** 18, 2 ** 20]) {
  t.test(`header bytes from 0x80 to 0xff arrive as they were sent before a body of ${size} bytes`, async t => {
    const value = Buffer.concat(
      [Buffer.from('å, 日本 ', 'utf8'), Buffer.from(Array.from({ length: 128 }, (_, i) => 128 + i))]
    ).toString('latin1')
    const workload = await startRawWorkload(t, socket => {
      socket.write(
        `HTTP/1.1 200 OK\r\nX-Bytes: ${value}\r\nContent-Length: ${size}\r\n\r\n${'a'.repeat(size)}`, 'latin1'
      )
    })
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...modes })
    const { client } = await exchange(t, proxy, 'GET', '')
    const response = await client.end
    t.equal(statusOf(response), 200)
    t.equal(/^x-bytes: (.*)\r$/im.exec(response)?.[1], value)
  })
}

for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST']) {
  t.test(`${method} with a body reaches the workload with it`, async t => {
    const workload = await startWorkload(t)
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...modes })
    for (const size of [0, 1, 100_000, 2 ** 20 + 1]) {
      const body = Buffer.alloc(size, 'query ')
      const { client, request } = await exchange(t, proxy, method, 'content-length: LENGTH\r\n', { body })
      client.send(request.body ?? '')
      t.equal(statusOf(await client.end), 200, `${size} bytes`)
      const received = workload.received.at(-1)
      t.equal(received?.method, method)
      t.ok(received?.body.equals(body), `${size} bytes`)
    }
  })

  t.test(`${method} without a body has none, whatever its framing`, async t => {
    const workload = await startWorkload(t)
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...modes })
    for (const framing of ['', 'content-length: 0\r\n', 'transfer-encoding: chunked\r\n']) {
      const { client } = await exchange(t, proxy, method, framing)
      if (framing.startsWith('transfer')) client.send('0\r\n\r\n')
      t.equal(statusOf(await client.end), 200, framing)
      t.equal(workload.received.at(-1)?.method, method)
      t.equal(workload.received.at(-1)?.body.length, 0)
    }
  })
}

const cuts: readonly (readonly [string, string])[] = [
  ['before its headers are complete', 'HTTP/1.1 200 OK\r\ncontent-le'],
  ['within a length', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello'],
  ['within its chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ['within a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n50\r\nhello'],
  ['before the end of its last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n']
]
for (const [when, sent] of cuts) {
  for (const how of ['FIN', 'RST'] as const) {
    t.test(`a response that is cut ${when} by ${how} is 502`, async t => {
      const workload = await startRawWorkload(t, socket => {
        socket.write(sent, () => how === 'FIN' ? socket.end() : socket.resetAndDestroy())
      })
      const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...modes })
      const { client } = await exchange(t, proxy, 'GET', '')
      t.equal(statusOf(await client.end), 502)
    })
  }
}

t.test('a response without framing ends with its connection', async t => {
  const server = createServer((_request, response) => {
    response.useChunkedEncodingByDefault = false
    response.shouldKeepAlive = false
    response.writeHead(200, { connection: 'close' }).end('until the end')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const proxy = await startProxy(
    t, { workloadBaseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ...modes }
  )
  const client = await v1Client(proxy.url)
  t.equal((await client.open(await fetch(proxy.url, await client.request()))).toString(), 'until the end')
})
