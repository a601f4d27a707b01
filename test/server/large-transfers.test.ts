/** The proxy's memory does not grow with what passes through it. */
import { createHash } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import type { Test } from 'tap'
import { startServer, untilReady } from '../fixtures/process.ts'
import type { Server } from '../fixtures/process.ts'
import { startWorkload } from '../fixtures/workload.ts'

const MIB = 2 ** 20
const SIZE = 256 * MIB
const ALLOWED_GROWTH = 100 * MIB

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

/** The most that resident memory grew by while `work` ran. */
async function growth (server: Server, work: () => Promise<void>): Promise<number> {
  const before = server.rss()
  let peak = before
  const sampler = setInterval(() => { peak = Math.max(peak, server.rss()) }, 20)
  await work()
  clearInterval(sampler)
  return peak - before
}

async function setUp (t: Test) {
  const workload = await startWorkload(t, (request, response) => {
    if (request.method === 'GET') Readable.from(pieces()).pipe(response)
    else digest(request).then(hash => response.end(hash), () => response.destroy())
  })
  const server = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url })
  await untilReady(server.url)
  // What is allocated once, at first use, is no growth.
  await (await fetch(server.url, { method: 'POST', body: piece })).text()
  return server
}

t.test('a download of 256 MiB', async t => {
  const server = await setUp(t)
  const grown = await growth(server, async () => {
    const response = await new Promise<IncomingMessage>(
      (resolve, reject) => { httpRequest(server.url, resolve).on('error', reject).end() }
    )
    t.equal(await digest(response), expected)
  })
  t.ok(grown < ALLOWED_GROWTH, `grew by ${Math.round(grown / MIB)} MiB`)
})

for (const framing of ['content-length', 'chunks']) {
  t.test(`an upload of 256 MiB, framed by ${framing}`, async t => {
    const server = await setUp(t)
    const grown = await growth(server, async () => {
      const request = httpRequest(
        server.url, { method: 'PUT', headers: framing === 'chunks' ? {} : { 'content-length': SIZE } }
      )
      const answered = new Promise<IncomingMessage>(
        (resolve, reject) => { request.on('response', resolve).on('error', reject) }
      )
      await pipeline(Readable.from(pieces()), request)
      const answer: Buffer[] = []
      for await (const part of await answered) answer.push(part)
      t.equal(Buffer.concat(answer).toString(), expected)
    })
    t.ok(grown < ALLOWED_GROWTH, `grew by ${Math.round(grown / MIB)} MiB`)
  })
}

t.test('a download that its client does not read is not buffered', async t => {
  const server = await setUp(t)
  const grown = await growth(server, async () => {
    const response = await new Promise<IncomingMessage>(
      (resolve, reject) => { httpRequest(server.url, resolve).on('error', reject).end() }
    )
    response.pause()
    await new Promise(resolve => setTimeout(resolve, 1500))
    response.on('error', error => t.match(error, { code: 'ECONNRESET' })).destroy()
  })
  t.ok(grown < ALLOWED_GROWTH / 2, `grew by ${Math.round(grown / MIB)} MiB`)
})
