/** Every kind of body that fetch takes reaches the workload as it would without the proxy. */
import { openAsBlob } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const workload = await startWorkload(t)
const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
const polarisFetch = createPolarisFetch({ baseURL: proxy.url })

async function sent (request: Promise<Response>) {
  t.equal((await request).status, 200)
  const received = workload.received.pop()
  if (received === undefined) throw new Error('Nothing was received')
  return received
}

async function * pieces () {
  yield Buffer.from('first ')
  yield new TextEncoder().encode('second')
}

const octets = Uint8Array.from({ length: 300 }, (_, i) => i)
const text = 'text/plain;charset=UTF-8'
const cases: [
  kind: string, body: () => NonNullable<RequestInit['body']>, content: Uint8Array, type: string | undefined
][] = [
  ['a string', () => 'grüße', Buffer.from('grüße'), text],
  ['an empty string', () => '', Buffer.alloc(0), text],
  [
    'URLSearchParams', () => new URLSearchParams({ a: '1', b: 'ü&' }), Buffer.from('a=1&b=%C3%BC%26'),
    'application/x-www-form-urlencoded;charset=UTF-8'
  ],
  ['a Blob', () => new Blob([octets], { type: 'image/png' }), octets, 'image/png'],
  ['a Blob without type', () => new Blob(['x']), Buffer.from('x'), undefined],
  ['an ArrayBuffer', () => octets.slice().buffer, octets, undefined],
  ['a Uint8Array', () => octets, octets, undefined],
  ['a part of an ArrayBuffer', () => octets.subarray(10, 20), octets.slice(10, 20), undefined],
  ['a DataView', () => new DataView(octets.buffer, 5, 6), octets.slice(5, 11), undefined]
]

for (const [kind, body, content, type] of cases) {
  t.test(`${kind} has its length and its type`, async t => {
    for (const method of ['POST', 'PUT', 'PATCH', 'QUERY', ...content.length > 0 ? ['DELETE'] : []]) {
      const received = await sent(polarisFetch('/', { method, body: body() }))
      t.equal(received.method, method)
      t.ok(received.body.equals(content))
      t.strictSame(
        [received.headers['content-type'], received.headers['content-length']], [type, String(content.length)], method
      )
    }
  })
}

t.test('a type that the caller gives wins', async t => {
  const received = await sent(
    polarisFetch('/', { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } })
  )
  t.equal(received.headers['content-type'], 'application/json')
})

t.test('FormData arrives with its fields and files', async t => {
  const form = new FormData()
  form.append('text', 'grüße\nzwei')
  form.append('na"me\n', 'x')
  form.append('file', new File([octets], 'pic"ture.png', { type: 'image/png' }))
  form.append('file', new Blob(['untyped']), 'b.bin')
  const { headers, body } = await sent(polarisFetch('/', { method: 'POST', body: form }))
  t.equal(headers['content-length'], String(body.length))
  const read = await new Response(
    Uint8Array.from(body), { headers: { 'content-type': headers['content-type'] ?? '' } }
  ).formData()
  t.equal(read.get('text'), 'grüße\r\nzwei', 'line breaks as the HTML Standard wants them')
  t.equal(read.get('na"me\r\n'), 'x')
  const [picture, untyped] = read.getAll('file') as File[]
  t.strictSame(
    [picture?.name, picture?.type, untyped?.name, untyped?.type],
    ['pic"ture.png', 'image/png', 'b.bin', 'application/octet-stream']
  )
  t.ok(Buffer.from(await picture!.arrayBuffer()).equals(octets))
  const without = await sent(polarisFetch('/', { method: 'POST', body: new FormData() }))
  t.match(without.body.toString(), /^------polaris-[\da-f]{32}--\r\n$/)
})

t.test('large bodies of known length are streamed, and keep their length', async t => {
  const file = join(t.testdir(), 'file')
  await writeFile(file, Buffer.alloc(3_000_000, 'f'))
  const blob = await openAsBlob(file)
  const received = await sent(polarisFetch('/', { method: 'POST', body: blob }))
  t.equal(received.headers['content-length'], '3000000')
  t.ok(received.body.equals(Buffer.alloc(3_000_000, 'f')))
  const form = new FormData()
  form.append('file', blob, 'f')
  const { headers, body } = await sent(polarisFetch('/', { method: 'POST', body: form }))
  t.equal(headers['content-length'], String(body.length))
  t.ok(body.length > 3_000_000)
})

t.test('streams arrive', async t => {
  for (const body of [ReadableStream.from(pieces()), pieces()]) {
    const received = await sent(polarisFetch('/', { method: 'POST', body: body as ReadableStream, duplex: 'half' }))
    t.equal(received.body.toString(), 'first second')
    t.match(received.headers, { 'transfer-encoding': 'chunked', 'content-type': undefined })
  }
  const announced = await sent(polarisFetch(
    '/', { method: 'POST', body: ReadableStream.from(pieces()), duplex: 'half', headers: { 'content-length': '12' } }
  ))
  t.equal(announced.headers['content-length'], '12')
})

t.test('where request bodies cannot be streamed, they are read first', async t => {
  const buffering = createPolarisFetch({ baseURL: proxy.url, streamRequests: false })
  const received = await sent(buffering('/', { method: 'POST', body: ReadableStream.from(pieces()), duplex: 'half' }))
  t.equal(received.body.toString(), 'first second')
  t.match(received.headers, { 'content-length': '12', 'content-type': undefined })
})

t.test('a stream without duplex, or with something else than octets, is refused as fetch refuses it', async t => {
  await t.rejects(polarisFetch('/', { method: 'POST', body: ReadableStream.from(pieces()) }), TypeError)
  for (const [piece, gave] of [
    ['text', /gave a string.*TextEncoderStream/], [new ArrayBuffer(3), /gave ArrayBuffer/],
    [{ length: 3 }, /gave Object/]
  ] as const) {
    await t.rejects(
      polarisFetch('/', { method: 'POST', body: ReadableStream.from([piece]) as ReadableStream, duplex: 'half' }),
      { name: 'PolarisFetchError', code: 'ERR_POLARIS_REQUEST_BODY', message: gave }
    )
  }
  t.strictSame(workload.received, [])
})

t.test('a Request is taken as it is', async t => {
  const request = new Request(`${proxy.url}/r`, { method: 'PUT', body: 'of a request', headers: { 'x-own': 'yes' } })
  const received = await sent(polarisFetch(request))
  t.strictSame(
    [received.method, received.url, received.body.toString(), received.headers['x-own']],
    ['PUT', '/r', 'of a request', 'yes']
  )
  t.equal(request.bodyUsed, true, 'its body is used up, as by fetch')
  const other = await sent(
    polarisFetch(new Request(`${proxy.url}/r`, { method: 'PUT', body: 'a' }), { body: 'b', method: 'POST' })
  )
  t.strictSame([other.method, other.body.toString()], ['POST', 'b'])
})

t.test('the body of a Request keeps its length where it is there at once, and streams where it is not', async t => {
  for (const body of ['text', '', octets, new URLSearchParams('a=1'), 'x'.repeat(300_000)]) {
    const received = await sent(polarisFetch(new Request(proxy.url, { method: 'POST', body })))
    const length = new Blob([body instanceof URLSearchParams ? String(body) : body]).size
    t.strictSame([received.body.length, received.headers['content-length']], [length, String(length)])
  }
  async function * slow () {
    yield Buffer.from('first ')
    await new Promise(resolve => { setTimeout(resolve, 20) })
    yield Buffer.from('second')
  }
  const late = await sent(
    polarisFetch(new Request(proxy.url, { method: 'POST', body: ReadableStream.from(slow()), duplex: 'half' }))
  )
  t.strictSame([late.body.toString(), late.headers['transfer-encoding']], ['first second', 'chunked'])
  const large = await sent(polarisFetch(new Request(proxy.url, {
    method: 'POST',
    body: ReadableStream.from(Array.from({ length: 30 }, (_, i) => new Uint8Array(100_000).fill(i))),
    duplex: 'half'
  })))
  t.ok(large.body.equals(Buffer.concat(Array.from({ length: 30 }, (_, i) => Buffer.alloc(100_000, i)))))
  await t.rejects(polarisFetch(
    new Request(proxy.url, { method: 'POST', body: ReadableStream.from(['text']) as ReadableStream, duplex: 'half' })
  ), { code: 'ERR_POLARIS_REQUEST_BODY' })
})

t.test('a body that is not as long as its content-length says is the body\'s fault, and said to be', async t => {
  const slow = (length: number) => new ReadableStream<Uint8Array>({
    async start (controller) {
      await new Promise(resolve => { setTimeout(resolve, 20) })
      controller.enqueue(new Uint8Array(length))
      controller.close()
    }
  })
  const bodies: [name: string, body: () => NonNullable<RequestInit['body']>][] = [
    ['a string', () => 'x'.repeat(12)], ['bytes', () => new Uint8Array(12)],
    ['a large Blob', () => new Blob([new Uint8Array(2_000_000)])], ['a stream', () => slow(12)]
  ]
  const buffering = createPolarisFetch({ baseURL: proxy.url, streamRequests: false })
  const legacyProxy = await startProxy(
    t, { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true }
  )
  const legacy = createPolarisFetch({ baseURL: legacyProxy.url, protocol: 'polaris-v1' })
  for (const [how, send] of Object.entries({ streaming: polarisFetch, buffering, legacy })) {
    for (const [name, body] of bodies) {
      for (const announced of ['3', '3000000']) {
        const init = { method: 'POST', body: body(), duplex: 'half' as const, headers: { 'content-length': announced } }
        await t.rejects(
          send('/', init), { code: 'ERR_POLARIS_REQUEST_BODY', message: /content-length/ },
          `${how}: ${name}, ${announced}`
        )
      }
    }
  }
  t.strictSame(workload.received, [])
})

t.test('a stream that fails is the body\'s fault, and the reason is the cause', async t => {
  const reason = new Error('the disk is gone')
  const failing = () => new ReadableStream<Uint8Array>({
    pull (controller) { controller.error(reason) }
  })
  const buffering = createPolarisFetch({ baseURL: proxy.url, streamRequests: false })
  for (const send of [polarisFetch, buffering]) {
    await t.rejects(
      send('/', { method: 'POST', body: failing(), duplex: 'half' }),
      { code: 'ERR_POLARIS_REQUEST_BODY', cause: reason }
    )
  }
  t.strictSame(workload.received, [])
})

t.test('GET may have a body, as search engines take it, and HEAD none', async t => {
  for (const method of ['GET', 'HEAD']) {
    const received = await sent(polarisFetch('/', { method }))
    t.strictSame(
      [received.method, received.headers['content-length'], received.headers['transfer-encoding']],
      [method, undefined, undefined]
    )
  }
  await t.rejects(polarisFetch('/', { method: 'HEAD', body: 'x' }), TypeError)
  const fromRequest = await sent(
    polarisFetch(new Request(`${proxy.url}/_search`, { headers: { 'x-own': 'yes' } }), { body: '{"query":{}}' })
  )
  t.strictSame(
    [fromRequest.method, fromRequest.url, fromRequest.body.toString(), fromRequest.headers['x-own']],
    ['GET', '/_search', '{"query":{}}', 'yes']
  )
  const search = await sent(
    polarisFetch('/_search', { method: 'get', body: '{"query":{}}', headers: { 'content-type': 'application/json' } })
  )
  t.strictSame(
    [search.method, search.body.toString(), search.headers['content-type']], ['GET', '{"query":{}}', 'application/json']
  )
  const post = await sent(polarisFetch('/', { method: 'POST' }))
  t.equal(post.headers['content-length'], '0')
})
