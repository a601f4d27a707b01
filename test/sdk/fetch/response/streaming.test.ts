/** Both ways, octets arrive as they are sent, and memory does not grow with what passes. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

type Exchange = [request: IncomingMessage, response: ServerResponse]
const arrivals: ((exchange: Exchange) => void)[] = []
/** The next exchange that reaches the workload. */
const next = () => new Promise<Exchange>(resolve => { arrivals.push(resolve) })

const workload = await startWorkload(t, (request, response) => {
  const arrival = arrivals.shift()
  if (arrival === undefined) response.writeHead(500).end()
  else arrival([request, response])
})
const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
const polarisFetch = createPolarisFetch({ baseURL: proxy.url })

/** Each step waits for the one before: whoever held something back would never get to the end. */
t.test('each event arrives before the next is sent', async t => {
  const arrival = next()
  const answer = polarisFetch('/events')
  const [, response] = await arrival
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
  const { body, headers } = await answer
  t.equal(headers.get('content-type'), 'text/event-stream')
  if (body === null) throw new Error('There is a body')
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  for (let i = 0; i < 20; i++) {
    response.write(`data: event ${i}\n\n`)
    t.strictSame(await reader.read(), { done: false, value: `data: event ${i}\n\n` })
  }
  response.end()
  t.equal((await reader.read()).done, true)
})

t.test('the workload sees the first octets while the client still sends, and the client its answer', async t => {
  let source: ReadableStreamDefaultController<Uint8Array> | undefined
  const body = new ReadableStream<Uint8Array>({ start (controller) { source = controller } })
  const arrival = next()
  const answer = polarisFetch('/upload', { method: 'POST', body, duplex: 'half' })
  source?.enqueue(Buffer.from('piece 0'))
  const [request, response] = await arrival
  for (let i = 0; i < 20; i++) {
    const [octets] = await once(request, 'data')
    t.equal(String(octets), `piece ${i}`)
    source?.enqueue(Buffer.from(`piece ${i + 1}`))
  }
  response.writeHead(200)
  response.write('received so far')
  const reader = (await answer).body?.getReader()
  t.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'received so far', 'in both directions at once')
  source?.close()
  await once(request, 'end')
  response.end()
  t.equal((await reader?.read())?.done, true)
})

t.test('nobody reads ahead of a slow reader', async t => {
  const size = 100_000_000
  const arrival = next()
  const answer = polarisFetch('/download')
  const [, response] = await arrival
  let written = 0
  const piece = Buffer.alloc(100_000)
  response.on('error', () => undefined)
  const writeAll = async () => {
    while (written < size && !response.destroyed) {
      written += piece.length
      if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')])
    }
  }
  const writing = writeAll()
  const reader = (await answer).body!.getReader()
  await reader.read()
  // What fits into the buffers on the way is written by now: so many rounds through the event loop pass without a read.
  for (let before = -1; before !== written;) {
    before = written
    for (let i = 0; i < 200; i++) await new Promise(resolve => { setImmediate(resolve) })
  }
  t.ok(written < size / 4, `${written} octets are on their way`)
  await reader.cancel()
  await writing
})

t.test('what is held on the way is bounded, whatever passes', async t => {
  const size = 80_000_000
  const piece = new Uint8Array(250_000).fill(7)
  let sent = 0
  const body = new ReadableStream<Uint8Array>({
    pull (controller) {
      sent += piece.length
      controller.enqueue(piece)
      if (sent >= size) controller.close()
    }
  }, { highWaterMark: 0 })
  const arrival = next()
  const answer = polarisFetch('/echo', { method: 'POST', body, duplex: 'half' })
  const [request, response] = await arrival
  request.pipe(response)
  let received = 0
  let held = 0
  for await (const octets of (await answer).body ?? []) {
    received += octets.length
    held = Math.max(held, sent - received)
  }
  t.equal(received, size)
  t.ok(held < size / 4, `at most ${held} octets are on their way through client, proxy and workload`)
})

t.test('a hundred requests at once, each with its own answer', async t => {
  const answers = Array.from({ length: 100 }, async (_, i) => {
    arrivals.push(([request, response]) => { request.pipe(response) })
    const body = i % 2 === 0
      ? `request ${i} ${'x'.repeat(i * 1000)}`
      : new Blob([`request ${i} `, new Uint8Array(2000 * i)])
    const response = await polarisFetch('/', { method: 'POST', body })
    const octets = Buffer.from(await response.arrayBuffer())
    return octets.toString('latin1', 0, 12).startsWith(`request ${i} `)
  })
  t.strictSame(new Set(await Promise.all(answers)), new Set([true]))
})
