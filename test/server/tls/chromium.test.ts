/**
 * A browser on the TLS listener, without anything in front: it speaks HTTP/2, so that it can stream what it sends, and
 * HTTP/1.1 for WebSocket, since extended CONNECT (RFC 8441) is not offered. Skipped where there is no Chromium.
 */
import { setTimeout } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import t from 'tap'
import type { Test } from 'tap'
import { startSite } from '../../../examples/browser/site.ts'
import { noChromium, openPage } from '../../fixtures/chromium.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { servingTls } from '../../fixtures/tls.ts'
import { startSocketWorkload } from '../../fixtures/websockets.ts'
import { startWorkload } from '../../fixtures/workload.ts'

/** As far as it is used here, of what browsers have. */
interface Entry {
  readonly name: string
  readonly nextHopProtocol: string
}

interface Browser {
  readonly location: { readonly origin: string }
  readonly performance: { getEntries (): readonly Entry[] }
}

type Sdk = typeof import('../../../sdk/index.ts')

t.setTimeout(240_000)
const skip = noChromium
const TLS = { tls: 'attested', tlsPort: 0, tlsNames: 'localhost', enableInputEncryption: true } as const

/** A workload that serves a page, takes uploads and sends events, and a page that came through the proxy. */
async function setUp (t: Test) {
  const site = await startSite()
  t.teardown(() => site.close())
  const arrived: string[] = []
  const events: ((text: string) => void)[] = []
  const workload = await startWorkload(t, async (request, response) => {
    if (request.url === '/upload') {
      for await (const piece of request) arrived.push(String(piece))
      return response.end(arrived.join())
    }
    if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      return events.push(text => { response.write(`data: ${text}\n\n`) })
    }
    const found = await fetch(site.url + request.url)
    response.writeHead(found.status, { 'content-type': found.headers.get('content-type') ?? '' })
    response.end(Buffer.from(await found.arrayBuffer()))
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...TLS })
  const url = `https://localhost:${await servingTls(proxy)}`
  return { arrived, events, page: await openPage(t, url, { ignoreHTTPSErrors: true }) }
}

/** What the page's requests for a path spoke. */
const spoken = (page: Page, path: string) => page.evaluate(path => (globalThis as unknown as Browser).performance
  .getEntries().filter(({ name }) => URL.parse(name)?.pathname === path).map(entry => entry.nextHopProtocol), path)

for (const [way, path] of [['as it is', '/upload'], ['by chunked OHTTP', '/.well-known/ohttp-gateway']] as const) {
  t.test(`an upload ${way}: the workload has each piece before the next one is sent`, { skip }, async t => {
    const { arrived, page } = await setUp(t)
    await page.evaluate(async isSealed => {
      const { createPolarisFetch } = await import('/sdk.js' as string) as Sdk
      const send = isSealed
        ? createPolarisFetch({ baseURL: (globalThis as unknown as Browser).location.origin })
        : fetch
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
      const answer = send('/upload', { method: 'POST', body: readable, duplex: 'half' } as RequestInit)
        .then(response => response.text())
      Object.assign(globalThis, { writer: writable.getWriter(), answer })
    }, way !== 'as it is')
    for (const piece of ['first', 'second', 'third']) {
      await page.evaluate(text => (globalThis as unknown as { writer: WritableStreamDefaultWriter }).writer.write(
        new TextEncoder().encode(text)
      ), piece)
      while (!arrived.includes(piece)) await setTimeout(10)
    }
    t.equal(await page.evaluate(async () => {
      const { writer, answer } = globalThis as unknown as {
        writer: WritableStreamDefaultWriter, answer: Promise<string>
      }
      await writer.close()
      return answer
    }), 'first,second,third')
    t.same(new Set(await spoken(page, path)), new Set(['h2']))
  })
}

t.test('server-sent events arrive one by one', { skip }, async t => {
  const { events, page } = await setUp(t)
  await page.evaluate(() => {
    const seen: string[] = []
    new EventSource('/events').onmessage = ({ data }) => seen.push(String(data))
    Object.assign(globalThis, { seen })
  })
  while (events.length === 0) await setTimeout(10)
  for (const [i, text] of ['one', 'two', 'three'].entries()) {
    events[0]?.(text)
    await page.waitForFunction(count => (globalThis as unknown as { seen: string[] }).seen.length === count, i + 1)
  }
  t.same(await page.evaluate(() => (globalThis as unknown as { seen: string[] }).seen), ['one', 'two', 'three'])
})

t.test('a WebSocket opens beside HTTP/2, on a connection of its own', { skip }, async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...TLS })
  const page = await openPage(t, `https://localhost:${await servingTls(proxy)}`, { ignoreHTTPSErrors: true })
  t.equal(await page.evaluate(() => new Promise((resolve, reject) => {
    const socket = new WebSocket('/live')
    socket.onerror = () => reject(new Error('the WebSocket failed'))
    socket.onopen = () => socket.send('κόσμε')
    socket.onmessage = ({ data }) => resolve(data)
  })), 'κόσμε')
  t.match(workload.handshakes[0], { url: '/live', httpVersion: '1.1' })
  t.same(await spoken(page, '/'), ['h2'])
})
