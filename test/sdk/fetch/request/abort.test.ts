/**
 * A request that is aborted ends at once, with the signal's reason, in whatever phase it is; and the workload learns of
 * it.
 */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

type Exchange = [request: IncomingMessage, response: ServerResponse]
let arrived: (exchange: Exchange) => void = () => undefined
const next = () => new Promise<Exchange>(resolve => { arrived = resolve })

const workload = await startWorkload(t, (request, response) => arrived([request, response]))
const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
const polarisFetch = createPolarisFetch({ baseURL: proxy.url })
const reason = new Error('the caller\'s own reason')

t.test('before it starts: nothing is sent', async t => {
  const calls: unknown[] = []
  const unused = createPolarisFetch(
    { baseURL: proxy.url, fetch: async url => { calls.push(url); return new Response() } }
  )
  await t.rejects(unused('/', { signal: AbortSignal.abort(reason) }), reason)
  await t.rejects(unused(new Request(proxy.url, { signal: AbortSignal.abort() })), { name: 'AbortError' })
  t.strictSame(calls, [])
})

t.test('between a redirect and what follows: keys that cannot be had meanwhile concern nobody', async t => {
  const redirecting = await startWorkload(
    t, (_request, response) => { response.writeHead(302, { location: '/there' }).end('elsewhere') }
  )
  const { url } = await startProxy(t, { workloadBaseUrl: redirecting.url })
  const controller = new AbortController()
  let keys = 0
  const underlying: typeof fetch = async (input, init) => {
    if (init?.method !== 'POST') {
      if (keys++ > 0) throw new TypeError('fetch failed')
      return new Response(
        (await fetch(input, init)).body,
        { headers: { 'content-type': 'application/ohttp-keys', 'cache-control': 'no-store' } }
      )
    }
    const response = await fetch(input, init)
    const reader = response.body!.getReader()
    // The redirect's own body is let go of first.
    return new Response(new ReadableStream({
      async pull (source) {
        const { done, value } = await reader.read()
        if (!done) source.enqueue(value)
      },
      cancel () { controller.abort(reason) }
    }, { highWaterMark: 0 }), response)
  }
  await t.rejects(createPolarisFetch({ baseURL: url, fetch: underlying })('/', { signal: controller.signal }), reason)
  // A rejection that nobody handles would end the process by now.
  await new Promise(resolve => { setTimeout(resolve, 50) })
})

t.test('while keys are fetched: those who wait for the same keys go on waiting', async t => {
  let release: () => void = () => undefined
  const held = new Promise<void>(resolve => { release = resolve })
  const slow = createPolarisFetch({
    baseURL: proxy.url,
    fetch: async (input, init) => {
      if (init?.method !== 'POST') await held
      return fetch(input, init)
    }
  })
  const controller = new AbortController()
  const aborted = slow('/', { signal: controller.signal })
  const other = slow('/')
  controller.abort(reason)
  await t.rejects(aborted, reason)
  const arrival = next()
  release()
  const [, response] = await arrival
  response.end('answered')
  t.equal(await (await other).text(), 'answered')
})

t.test('while the request is sent: the source is cancelled, the workload\'s request breaks off', async t => {
  const controller = new AbortController()
  let cancelled: unknown
  const body = new ReadableStream<Uint8Array>({
    start (source) { source.enqueue(new Uint8Array(10)) },
    cancel (why) { cancelled = why }
  })
  const arrival = next()
  const answer = polarisFetch('/', { method: 'POST', body, duplex: 'half', signal: controller.signal })
  const [request] = await arrival
  await once(request, 'data')
  const brokenOff = once(request, 'error')
  controller.abort(reason)
  await t.rejects(answer, reason)
  t.match(await brokenOff, [{ code: 'ECONNRESET' }])
  t.equal(cancelled, reason)
})

t.test('a source is cancelled, too, where the gateway cannot be reached or refuses', async t => {
  for (const [answer, code] of [
    [() => Promise.reject(new TypeError('fetch failed')), 'ERR_POLARIS_CONNECTION'],
    [async () => new Response('<html>', { status: 502 }), 'ERR_POLARIS_REFUSED']
  ] as const) {
    const underlying: typeof fetch = (input, init) => init?.method === 'POST' ? answer() : fetch(input, init)
    let cancelled: unknown
    const body = new ReadableStream<Uint8Array>({ cancel (why) { cancelled = why } })
    await t.rejects(
      createPolarisFetch({ baseURL: proxy.url, fetch: underlying })('/', { method: 'POST', body, duplex: 'half' }),
      { code }
    )
    t.match(cancelled, { code })
  }
})

t.test('so is one of which nothing was read: aborted before, without keys, or with headers that cannot be ' +
  'sent', async t => {
  const unreachable: typeof fetch = () => Promise.reject(new TypeError('fetch failed'))
  for (const [options, init, expected] of [
    [{}, { signal: AbortSignal.abort(reason) }, reason],
    [{ fetch: unreachable }, {}, { code: 'ERR_POLARIS_KEYS_UNAVAILABLE' }],
    [{}, { headers: { 'x-control': 'a\x01b' } }, { code: 'ERR_POLARIS_UNSUPPORTED_REQUEST' }]
  ] as const) {
    let cancelled: unknown
    const body = new ReadableStream<Uint8Array>({ cancel (why) { cancelled = why } })
    await t.rejects(
      createPolarisFetch({ baseURL: proxy.url, ...options })('/', { method: 'POST', body, duplex: 'half', ...init }),
      expected
    )
    t.match(cancelled, expected)
  }
})

t.test('while a body is read before it is sent', async t => {
  const controller = new AbortController()
  const buffering = createPolarisFetch({ baseURL: proxy.url, streamRequests: false })
  let cancelled: unknown
  const body = new ReadableStream<Uint8Array>({ cancel (why) { cancelled = why } })
  const answer = buffering('/', { method: 'POST', body, duplex: 'half', signal: controller.signal })
  await new Promise(resolve => { setImmediate(resolve) })
  controller.abort(reason)
  await t.rejects(answer, reason)
  t.equal(cancelled, reason)
})

t.test('while the response is waited for', async t => {
  const controller = new AbortController()
  const arrival = next()
  const answer = polarisFetch('/', { signal: controller.signal })
  const [, response] = await arrival
  const closed = once(response, 'close')
  controller.abort(reason)
  await t.rejects(answer, reason)
  await closed
  t.equal(response.writableFinished, false)
})

t.test('while the response is read', async t => {
  for (const encoding of [undefined, 'gzip']) {
    const controller = new AbortController()
    const arrival = next()
    const answer = polarisFetch('/', { signal: controller.signal })
    const [, response] = await arrival
    if (encoding !== undefined) response.setHeader('content-encoding', encoding)
    response.flushHeaders()
    const { body } = await answer
    const closed = once(response, 'close')
    const reading = body!.getReader().read()
    controller.abort(reason)
    await t.rejects(reading, reason)
    await closed
    t.equal(response.writableFinished, false)
  }
})

t.test('a response body that is cancelled ends the workload\'s work', async t => {
  const arrival = next()
  const answer = polarisFetch('/')
  const [, response] = await arrival
  response.write('first')
  const reader = (await answer).body!.getReader()
  await reader.read()
  const closed = once(response, 'close')
  await reader.cancel()
  await closed
  t.equal(response.writableFinished, false)
})

t.test('while a refusal is read', async t => {
  const sockets = new Set<{ destroy (): void }>()
  const hanging = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => socket.write(
      'HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: 100\r\n\r\n{'
    ))
  })
  hanging.listen(0, '127.0.0.1')
  await once(hanging, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    hanging.close()
  })
  const url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`
  const controller = new AbortController()
  const underlying: typeof fetch = async (input, init) => init?.method === 'POST'
    ? fetch(url, init).then(response => { setImmediate(() => controller.abort(reason)); return response })
    : fetch(input, init)
  await t.rejects(
    createPolarisFetch({ baseURL: proxy.url, fetch: underlying })('/', { signal: controller.signal }), reason
  )
})
