/**
 * polaris proxy's memory does not grow with what passes through it. POLARIS_TEST_TRANSFER_MIB=2048 passes 2 GiB in each
 * direction; without it the suite passes less.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import type { LocalProxy } from '../../fixtures/local-proxy.ts'
import { runLocalProxy, send } from '../../fixtures/local-proxy.ts'
import { startServer, untilReady } from '../../fixtures/process.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const MIB = 2 ** 20
const SIZE = Number(process.env['POLARIS_TEST_TRANSFER_MIB'] ?? 128) * MIB
const ALLOWED_GROWTH = 100 * MIB

t.setTimeout(120_000 + SIZE / MIB * 500)

const piece = Buffer.alloc(64 * 1024, 'polaris')
function * pieces () {
  for (let sent = 0; sent < SIZE; sent += piece.length) yield piece
}
const whole = createHash('sha256')
for (const part of pieces()) whole.update(part)
const expected = whole.digest('hex')

async function digest (stream: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of stream) hash.update(part)
  return hash.digest('hex')
}

const workload = await startWorkload(t, (request, response) => {
  if (request.method === 'GET') Readable.from(pieces()).pipe(response)
  else digest(request).then(hash => response.end(hash), () => response.destroy())
})
// In a process of its own: this one has enough to do.
const server = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url })
await untilReady(server.url)
const local = await runLocalProxy(t, [server.url, '--insecure'])
// What is allocated once, at first use, is no growth.
await send(local.url, { method: 'POST', body: Buffer.concat(Array.from({ length: 64 }, () => piece)) })

/** The most that resident memory grew by while `work` ran. */
async function growth ({ rss }: LocalProxy, work: () => Promise<void>): Promise<number> {
  const before = rss()
  let peak = before
  const sampler = setInterval(() => { peak = Math.max(peak, rss()) }, 20)
  await work()
  clearInterval(sampler)
  return peak - before
}

async function answerTo (request: ReturnType<typeof httpRequest>): Promise<IncomingMessage> {
  const [response] = await once(request, 'response') as [IncomingMessage]
  return response
}

t.test(`a download of ${SIZE / MIB} MiB`, async t => {
  const grown = await growth(local, async () => {
    t.equal(await digest(await answerTo(httpRequest(local.url, { agent: false }).end())), expected)
  })
  t.comment(`grew by ${Math.round(grown / MIB)} MiB`)
  t.ok(grown < ALLOWED_GROWTH, `grew by ${Math.round(grown / MIB)} MiB`)
})

for (const headers of [{ 'content-length': SIZE }, { 'transfer-encoding': 'chunked' }]) {
  t.test(`an upload of ${SIZE / MIB} MiB with ${Object.keys(headers)[0]}`, async t => {
    const grown = await growth(local, async () => {
      const request = httpRequest(local.url, { method: 'PUT', headers, agent: false })
      const answered = answerTo(request)
      await pipeline(Readable.from(pieces()), request)
      const answer: Buffer[] = []
      for await (const part of await answered) answer.push(part as Buffer)
      t.equal(Buffer.concat(answer).toString(), expected)
    })
    t.comment(`grew by ${Math.round(grown / MIB)} MiB`)
    t.ok(grown < ALLOWED_GROWTH, `grew by ${Math.round(grown / MIB)} MiB`)
  })
}

t.test('a download that its client does not read is not buffered', async t => {
  const grown = await growth(local, async () => {
    const response = await answerTo(httpRequest(local.url, { agent: false }).end())
    response.pause()
    await new Promise(resolve => setTimeout(resolve, 1500))
    response.on('error', error => t.match(error, { code: 'ECONNRESET' })).destroy()
  })
  t.ok(grown < ALLOWED_GROWTH / 2, `grew by ${Math.round(grown / MIB)} MiB`)
})
