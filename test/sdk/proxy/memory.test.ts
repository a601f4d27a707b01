/**
 * polaris proxy's memory does not grow with what passes through it. POLARIS_TEST_TRANSFER_MIB=2048 passes 2 GiB in each
 * direction; without it the suite passes less.
 */
import { request as httpRequest } from 'node:http'
import t from 'tap'
import { runLocalProxy, send } from '../../fixtures/local-proxy.ts'
import { startServer, untilReady } from '../../fixtures/process.ts'
import { ALLOWED_GROWTH, growth, inMib, leaveUnread, MIB, PIECE, startTransfers } from '../../fixtures/transfers.ts'

const SIZE = Number(process.env['POLARIS_TEST_TRANSFER_MIB'] ?? 128) * MIB

t.setTimeout(120_000 + SIZE / MIB * 500)

const transfers = await startTransfers(t, SIZE)
// In a process of its own: this one has enough to do.
const server = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: transfers.url })
await untilReady(server.url)
const local = await runLocalProxy(t, [server.url, '--insecure'])
// What is allocated once, at first use, is no growth.
await send(local.url, { method: 'POST', body: Buffer.concat(Array.from({ length: 64 }, () => PIECE)) })

t.test(`a download of ${inMib(SIZE)}`, async t => {
  const grown = await growth(local, () => transfers.download(t, httpRequest(local.url, { agent: false })))
  t.comment(`grew by ${inMib(grown)}`)
  t.ok(grown < ALLOWED_GROWTH, `grew by ${inMib(grown)}`)
})

for (const headers of [{ 'content-length': SIZE }, { 'transfer-encoding': 'chunked' }]) {
  t.test(`an upload of ${inMib(SIZE)} with ${Object.keys(headers)[0]}`, async t => {
    const grown = await growth(
      local, () => transfers.upload(t, httpRequest(local.url, { method: 'PUT', headers, agent: false }))
    )
    t.comment(`grew by ${inMib(grown)}`)
    t.ok(grown < ALLOWED_GROWTH, `grew by ${inMib(grown)}`)
  })
}

t.test('a download that its client does not read is not buffered', async t => {
  const grown = await growth(local, () => leaveUnread(t, httpRequest(local.url, { agent: false })))
  t.ok(grown < ALLOWED_GROWTH / 2, `grew by ${inMib(grown)}`)
})
