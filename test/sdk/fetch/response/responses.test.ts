/** What comes back is a standard Response with what the workload answered. */
import { createServer } from 'node:net'
import t from 'tap'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startIndependentGateway } from '../../../fixtures/independent-ohttp.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const text = 'The workload\'s own answer, grüße. '.repeat(100)

const workload = await startWorkload(t, (request, response) => {
  const [, kind = '', argument = ''] = request.url?.split('/') ?? []
  if (kind === 'status') {
    return response.writeHead(
      Number(argument), { 'x-status': argument, ...argument === '304' && { etag: '"x"' } }
    ).end()
  }
  if (kind === 'body') return response.writeHead(Number(argument), { 'content-type': 'text/plain' }).end(text)
  if (kind === 'nothing') return response.end()
  if (kind === 'early') {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    return response.end('late')
  }
  if (kind === 'trailers') {
    response.writeHead(200, { trailer: 'x-digest' })
    response.addTrailers({ 'x-digest': 'abc' })
    return response.end('with trailers')
  }
  response.setHeader('set-cookie', ['a=1', 'b=2'])
  response.setHeader('x-latin', 'gr\xfc\xdfe')
  response.setHeader('content-length', Buffer.byteLength(text))
  // As octets: a string would change how Node writes the headers.
  response.end(Buffer.from(text))
})
const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
const polarisFetch = createPolarisFetch({ baseURL: proxy.url })

t.test('status, headers, URL and body', async t => {
  const response = await polarisFetch('/path?query#fragment')
  t.ok(response instanceof Response)
  t.match(
    response,
    { status: 200, ok: true, statusText: '', redirected: false, url: `${proxy.url}/path?query`, bodyUsed: false }
  )
  t.strictSame(response.headers.getSetCookie(), ['a=1', 'b=2'])
  t.equal(response.headers.get('x-latin'), 'gr\xfc\xdfe')
  t.equal(response.headers.get('content-length'), String(Buffer.byteLength(text)))
  const clone = response.clone().clone()
  t.match(clone, { status: 200, url: `${proxy.url}/path?query`, redirected: false })
  t.strictSame([await response.text(), await clone.text()], [text, text])
})

t.test('every status', async t => {
  for (const status of [200, 201, 202, 206, 300, 400, 401, 404, 409, 418, 429, 451, 500, 502, 503, 599]) {
    const response = await polarisFetch(`/body/${status}`)
    t.strictSame([response.status, response.ok, await response.text()], [status, status < 300, text])
  }
})

t.test('statuses without a body', async t => {
  for (const status of [204, 205, 304]) {
    const response = await polarisFetch(`/status/${status}`)
    t.strictSame([response.status, response.body, response.headers.get('x-status')], [status, null, String(status)])
    t.equal(await response.text(), '')
  }
})

t.test('HEAD has headers only', async t => {
  for (const path of ['/', '/body/404', '/status/204']) {
    const response = await polarisFetch(path, { method: 'HEAD' })
    t.equal(response.body, null)
    t.equal(await response.text(), '')
  }
  const response = await polarisFetch('/', { method: 'HEAD' })
  t.equal(response.headers.get('content-length'), String(Buffer.byteLength(text)))
})

t.test('informational responses and trailers are left out', async t => {
  const early = await polarisFetch('/early')
  t.strictSame([early.status, await early.text()], [200, 'late'])
  const trailers = await polarisFetch('/trailers')
  t.strictSame(
    [trailers.status, await trailers.text(), trailers.headers.has('x-digest')], [200, 'with trailers', false]
  )
})

t.test('a body that is shorter than its content-length is an error, whoever cut it', async t => {
  const short = { status: 200, headers: { 'content-length': '100' } }
  const lying = await startIndependentGateway(t, async () => new Response('half', short))
  const breaking = await startWorkload(t, (_request, response) => {
    response.writeHead(short.status, short.headers).write('half', () => response.destroy())
  })
  const gateways = [
    ['the gateway seals it as complete', lying],
    ['the workload breaks off', (await startProxy(t, { workloadBaseUrl: breaking.url })).url]
  ] as const
  for (const [who, baseURL] of gateways) {
    const { status, body } = await createPolarisFetch({ baseURL })('/')
    t.equal(status, 200, who)
    const pieces: string[] = []
    await t.rejects((async () => {
      for await (const piece of body!) pieces.push(Buffer.from(piece).toString())
    })(), { name: 'PolarisFetchError', code: 'ERR_POLARIS_INCOMPLETE' }, who)
    t.equal(pieces.join(''), 'half', who)
  }
})

t.test('its body can be read into buffers of the caller\'s, as that of fetch can', async t => {
  const { body } = await polarisFetch('/')
  const reader = body!.getReader({ mode: 'byob' })
  const pieces: Uint8Array[] = []
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(7))
    if (done) break
    t.ok(value.length > 0 && value.length <= 7)
    pieces.push(value)
  }
  t.equal(Buffer.concat(pieces).toString(), text)
  const empty = (await polarisFetch('/nothing/')).body!.getReader({ mode: 'byob' })
  t.match(await empty.read(new Uint8Array(7)), { done: true }, 'also at its end')
})

t.test('the proxy\'s own errors after opening are responses, as from a reverse proxy', async t => {
  const closed = createServer().listen(0, '127.0.0.1')
  const { port } = await new Promise<{ port: number }>(
    resolve => { closed.on('listening', () => resolve(closed.address() as { port: number })) }
  )
  await new Promise(resolve => { closed.close(resolve) })
  const unreachable = await startProxy(t, { workloadBaseUrl: `http://127.0.0.1:${port}` })
  const response = await createPolarisFetch({ baseURL: unreachable.url })('/')
  t.equal(response.status, 502)
  t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:upstream-unreachable' })
})
