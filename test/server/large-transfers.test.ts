/** The proxy's memory does not grow with what passes through it. */
import { request as httpRequest } from 'node:http'
import t from 'tap'
import type { Test } from 'tap'
import { startServer, untilReady } from '../fixtures/process.ts'
import { ALLOWED_GROWTH, growth, inMib, leaveUnread, MIB, PIECE, startTransfers } from '../fixtures/transfers.ts'

const SIZE = 256 * MIB

async function setUp (t: Test) {
  const transfers = await startTransfers(t, SIZE)
  const server = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: transfers.url })
  await untilReady(server.url)
  // What is allocated once, at first use, is no growth.
  await (await fetch(server.url, { method: 'POST', body: PIECE })).text()
  return { server, transfers }
}

t.test('a download of 256 MiB', async t => {
  const { server, transfers } = await setUp(t)
  const grown = await growth(server, () => transfers.download(t, httpRequest(server.url)))
  t.ok(grown < ALLOWED_GROWTH, `grew by ${inMib(grown)}`)
})

for (const framing of ['content-length', 'chunks']) {
  t.test(`an upload of 256 MiB, framed by ${framing}`, async t => {
    const { server, transfers } = await setUp(t)
    const grown = await growth(server, () => transfers.upload(t, httpRequest(
      server.url, { method: 'PUT', headers: framing === 'chunks' ? {} : { 'content-length': SIZE } }
    )))
    t.ok(grown < ALLOWED_GROWTH, `grew by ${inMib(grown)}`)
  })
}

t.test('a download that its client does not read is not buffered', async t => {
  const { server } = await setUp(t)
  const grown = await growth(server, () => leaveUnread(t, httpRequest(server.url)))
  t.ok(grown < ALLOWED_GROWTH / 2, `grew by ${inMib(grown)}`)
})
