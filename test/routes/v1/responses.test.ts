/**
 * Responses are sealed whatever they are: status and headers as the workload sent them, the body for the client alone.
 */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import type { RequestListener } from 'node:http'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

async function setUp (t: Test, listener: RequestListener, config: ConfigInput = {}) {
  const workload = await startWorkload(t, listener)
  const { url, log } = await startProxy(
    t, { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true, ...config }
  )
  const client = await v1Client(url)
  const send = async (method = 'GET', body?: string) => fetch(url, {
    method, redirect: 'manual', ...await client.request({ target: '/x', ...body !== undefined && { body } })
  })
  return { url, log, client, send }
}

for (const status of [200, 201, 301, 400, 401, 404, 418, 500, 503, 599]) {
  t.test(`the workload's own ${status} is sealed like any response`, async t => {
    const { client, send } = await setUp(t, (_request, response) => {
      response.writeHead(
        status, { 'content-type': 'application/json', 'x-y': 'z', 'set-cookie': ['a=1', 'b=2'], location: '/elsewhere' }
      ).end('{"secret":1}')
    })
    const response = await send()
    t.equal(response.status, status)
    t.equal(response.headers.get('content-type'), 'application/json')
    t.equal(response.headers.get('x-y'), 'z')
    t.same(response.headers.getSetCookie(), ['a=1', 'b=2'])
    t.equal(response.headers.get('location'), '/elsewhere')
    const text = await response.text()
    t.match(text, /^[A-Za-z0-9+/]+=*$/, 'base64 text of the standard alphabet')
    t.equal(response.headers.get('content-length'), String(text.length))
    t.equal((await client.open(text)).toString(), '{"secret":1}')
  })
}

t.test('a workload\'s own problem details are sealed, too', async t => {
  const { client, send } = await setUp(t, (_request, response) => {
    response.writeHead(400, { 'content-type': 'application/problem+json' }).end('{"detail":"hunter2"}')
  })
  const response = await send()
  t.equal(response.headers.get('content-type'), 'application/problem+json')
  t.equal((await client.open(response)).toString(), '{"detail":"hunter2"}')
})

t.test('an empty body is sealed: the client sees that it is empty, and nobody else does', async t => {
  const { client, send } = await setUp(t, (_request, response) => { response.end() })
  const response = await send()
  t.equal(response.status, 200)
  t.equal((await client.open(response)).length, 0)
})

for (const [method, status] of [['GET', 204], ['GET', 304], ['HEAD', 200], ['HEAD', 404], ['DELETE', 204]] as const) {
  t.test(`${method} answered with ${status} stays without a body, and keeps the headers that describe it`, async t => {
    const described = { etag: '"x"', 'content-encoding': 'gzip', ...status !== 204 && { 'content-length': '123456' } }
    const { send } = await setUp(t, (_request, response) => { response.writeHead(status, described).end() })
    const response = await send(method)
    t.equal(response.status, status)
    for (const [name, value] of Object.entries(described)) t.equal(response.headers.get(name), value, name)
    if (status === 204) t.notOk(response.headers.has('content-length'))
    t.equal(await response.text(), '')
    t.equal((await send(method)).status, status, 'and its connection in step')
  })
}

const text = 'compressed secret '.repeat(1000)
const codings: Array<[string, Buffer]> = [
  ['gzip', gzipSync(text)],
  ['x-gzip', gzipSync(text)],
  ['GZIP', gzipSync(text)],
  ['gzip', Buffer.concat([gzipSync(text.slice(0, 9)), gzipSync(text.slice(9))])],
  ['deflate', deflateSync(text)],
  ['deflate', deflateRawSync(text)],
  ['br', brotliCompressSync(text)],
  ['zstd', zstdCompressSync(text)],
  ['identity', Buffer.from(text)],
  ['gzip, gzip', gzipSync(gzipSync(text))],
  ['deflate, identity , br', brotliCompressSync(deflateRawSync(text))],
  ['zstd,gzip', gzipSync(zstdCompressSync(text))]
]
for (const [coding, body] of codings) {
  t.test(`content-encoding ${coding} (${body.length} bytes) is undone before sealing`, async t => {
    const { client, send } = await setUp(
      t, (_request, response) => { response.writeHead(200, { 'content-encoding': coding }).end(body) }
    )
    const response = await send()
    t.equal(response.status, 200)
    t.notOk(response.headers.has('content-encoding'))
    t.equal((await client.open(response)).toString(), text)
  })
}

for (const coding of ['zz', 'gzip, zz', 'aes128gcm']) {
  t.test(`content-encoding ${coding} is not ours to undo: body and header stay as they are`, async t => {
    const { client, send } = await setUp(
      t, (_request, response) => { response.writeHead(200, { 'content-encoding': coding }).end('as it is') }
    )
    const response = await send()
    t.equal(response.status, 200)
    t.equal(response.headers.get('content-encoding'), coding)
    t.equal((await client.open(response)).toString(), 'as it is')
  })
}

for (const coding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, br', 'zz']) {
  for (const framing of [{ 'content-length': '0' }, { 'transfer-encoding': 'chunked' }]) {
    const [framedBy] = Object.keys(framing)
    t.test(`an empty body that is called ${coding}, ${framedBy}, is empty, and its status stays`, async t => {
      const { client, send } = await setUp(
        t, (_request, response) => { response.writeHead(404, { 'content-encoding': coding, ...framing }).end() }
      )
      const response = await send()
      t.equal(response.status, 404)
      t.equal((await client.open(response)).length, 0)
    })
  }
}

t.test('the workload is asked for identity encoding', async t => {
  const { client, send } = await setUp(
    t, (request, response) => { response.end(String(request.headers['accept-encoding'])) }
  )
  t.equal((await client.open(await send())).toString(), 'identity')
})

const invalid: Array<[string, string, Buffer]> = [
  ['a coding applied six times', Array(6).fill('gzip').join(), gzipSync(text)],
  ['gzip that is none', 'gzip', Buffer.from('hunter2')],
  ['gzip that is cut short', 'gzip', gzipSync(text).subarray(0, -9)],
  ['gzip inside that is cut short', 'gzip, gzip', gzipSync(gzipSync(text).subarray(0, -9))],
  ['gzip outside that is cut short', 'gzip, gzip', gzipSync(gzipSync(text)).subarray(0, -9)],
  ['raw deflate that is cut short', 'deflate', deflateRawSync(text).subarray(0, -9)],
  ['brotli that is cut short', 'br', brotliCompressSync(text).subarray(0, -9)],
  ['zstd that is cut short', 'zstd', zstdCompressSync(text).subarray(0, -9)],
  // Node's decoder would drop what follows the first frame.
  ['zstd of two frames', 'zstd', Buffer.concat([zstdCompressSync(text), zstdCompressSync(text)])]
]
for (const [name, coding, body] of invalid) {
  t.test(`${name} is 502`, async t => {
    const { send, log } = await setUp(
      t, (_request, response) => { response.writeHead(200, { 'content-encoding': coding, 'x-y': 'hunter2' }).end(body) }
    )
    const response = await send()
    t.equal(response.status, 502)
    t.equal(response.headers.get('content-type'), 'application/problem+json')
    t.notOk(response.headers.has('content-encoding'))
    t.notOk(response.headers.has('x-y'))
    t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:upstream-invalid' })
    t.notMatch(log.join(''), 'hunter2')
  })
}

// Found by a fuzzer: the decoder was done while the workload's response was not, and its error had nobody to go to.
for (const [coding, body] of [
  ['gzip', gzipSync(text)], ['deflate', deflateSync(text)], ['br', brotliCompressSync(text)]
] as const) {
  for (const [when, apart] of [['at once', false], ['later', true]] as const) {
    t.test(`${coding} with something behind its end, sent ${when}, is 502, and the proxy serves on`, async t => {
      const { url, send } = await setUp(t, (_request, response) => {
        // The response is left open: what a content coding calls its end is not the end of the body.
        response.writeHead(200, { 'content-encoding': coding }).write(
          apart ? body : Buffer.concat([body, Buffer.from('hunter2')])
        )
        if (apart) setTimeout(() => { response.write('hunter2') }, 50)
      })
      const response = await send()
      t.equal(response.status, 502)
      t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:upstream-invalid' })
      t.equal((await fetch(`${url}/polaris-container/livez`)).status, 200)
    })
  }
}

for (const size of [0, 1, 2, 3, 196_606, 196_607, 196_608, 262_144, 262_145, 1_000_000]) {
  t.test(`a response of ${size} octets arrives whole`, async t => {
    const body = Buffer.alloc(size, 'abcdefg')
    const { client, send } = await setUp(t, (_request, response) => { response.end(body) })
    const response = await send()
    const sealed = await response.text()
    t.equal(response.headers.get('content-length'), String(sealed.length))
    t.ok((await client.open(sealed)).equals(body))
  })
}
