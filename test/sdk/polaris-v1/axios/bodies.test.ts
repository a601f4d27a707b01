/** The axios interceptors, request bodies: they arrive as axios would have sent them. */
import { Readable } from 'node:stream'
import type { AxiosRequestConfig } from 'axios'
import t from 'tap'
import { createClient } from '../../../fixtures/sdk-client.ts'
import { startV1Gateway } from '../../../fixtures/v1-gateway.ts'
import { startAnsweringWorkload } from '../../../fixtures/answering-workload.ts'
import type { Received } from '../../../fixtures/answering-workload.ts'

const workload = await startAnsweringWorkload()
const gateway = await startV1Gateway({ workload: workload.url })
t.teardown(async () => { await gateway.close(); await workload.close() })
const client = createClient({ baseURL: gateway.url })

const FORM = 'application/x-www-form-urlencoded'
const octets = Buffer.from(Array.from({ length: 256 }, (_, i) => i))

async function post (data: unknown, config: AxiosRequestConfig = {}): Promise<Received> {
  await client.post('/upload', data, config)
  return workload.last()
}

t.test('all that axios sends arrives with the content type that axios would have given it', async t => {
  const json = { 'Content-Type': 'application/json' }
  const cases: Array<[string, unknown, AxiosRequestConfig, string | Buffer, string]> = [
    ['an object', { a: ['ü', null] }, {}, '{"a":["ü",null]}', 'application/json'],
    ['an array', [1, 2], {}, '[1,2]', 'application/json'],
    ['a string', 'plain ü', {}, 'plain ü', FORM],
    ['a string as JSON', 'plain', { headers: json }, '"plain"', 'application/json'],
    ['null as JSON', null, { headers: json }, 'null', 'application/json'],
    ['an object as a form', { a: 1, b: 'x y' }, { headers: { 'Content-Type': FORM } }, 'a=1&b=x+y', FORM],
    ['a Buffer', octets, {}, octets, FORM],
    ['a Buffer with a type', octets, { headers: { 'Content-Type': 'image/png' } }, octets, 'image/png'],
    ['an ArrayBuffer', new Uint8Array(octets).buffer, {}, octets, FORM],
    ['a Uint8Array', new Uint8Array(octets), {}, octets, FORM],
    [
      'a part of a Uint8Array, and not what surrounds it', new Uint8Array(octets).subarray(10, 20), {},
      octets.subarray(10, 20), FORM
    ],
    ['a Uint16Array', new Uint16Array([0x0102]), {}, Buffer.from(new Uint16Array([0x0102]).buffer), FORM],
    ['URLSearchParams', new URLSearchParams({ a: 'x y' }), {}, 'a=x+y', `${FORM};charset=utf-8`],
    ['a Blob', new Blob([octets], { type: 'image/png' }), {}, octets, 'image/png'],
    ['a Blob without a type', new Blob([octets]), {}, octets, FORM],
    ['a Node stream', Readable.from([octets.subarray(0, 100), octets.subarray(100)]), {}, octets, FORM],
    ['a Node stream of text', Readable.from(['ab', 'ü']), {}, 'abü', FORM],
    ['a web stream', new Blob([octets]).stream(), {}, octets, FORM],
    ['an empty Buffer', Buffer.alloc(0), {}, '', FORM],
    ['one transform', 'x', { transformRequest: data => `${data}y` }, 'xy', FORM],
    ['several transforms', 'x', {
      transformRequest: [
        data => `${data}y`, (data, headers) => { headers.set('Content-Type', 'text/z'); return `${data}z` }
      ]
    }, 'xyz', 'text/z'],
    [
      'a typed array with a transform of its own', new Uint8Array(octets),
      { transformRequest: data => data.subarray(1, 3) }, octets.subarray(1, 3), FORM
    ],
    [
      'params that the transforms left', 'x', { transformRequest: () => new URLSearchParams('a=1') }, 'a=1',
      `${FORM};charset=UTF-8`
    ]
  ]
  for (const [name, data, config, body, type] of cases) {
    const received = await post(data, config)
    t.ok(received.body.equals(Buffer.from(body)), name)
    t.equal(received.headers['content-type'], type, name)
    t.equal(received.headers['content-length'], String(received.body.length), name)
  }
})

t.test('no data is no body', async t => {
  for (const data of [undefined, null, '', false, 0]) {
    const { body, headers } = await post(data, { transformRequest: data => data })
    t.equal(body.length, 0)
    t.equal(headers['content-type'], undefined)
  }
})

t.test('forms arrive with their boundary, whoever writes them', async t => {
  const form = new FormData()
  form.append('text', 'ü')
  form.append('file', new Blob([octets], { type: 'image/png' }), 'pixel.png')
  for (const [name, data, config] of [
    ['FormData', form, {}],
    ['FormData with a type that lacks the boundary', form, { headers: { 'Content-Type': 'multipart/form-data' } }],
    [
      'an object that axios turns into a form', { text: 'ü', file: octets },
      { headers: { 'Content-Type': 'multipart/form-data' } }
    ]
  ] as const) {
    const { body, headers } = await post(data, config)
    const parsed = await new Response(
      new Uint8Array(body), { headers: { 'content-type': String(headers['content-type']) } }
    ).formData()
    t.equal(parsed.get('text'), 'ü', name)
    t.ok(body.includes(octets), name)
  }
  const { body } = await post(undefined, { method: 'put' })
  t.equal(body.length, 0)
})

t.test('FormData as JSON is JSON', async t => {
  const form = new FormData()
  form.append('a', '1')
  t.equal((await post(form, { headers: { 'Content-Type': 'application/json' } })).body.toString(), '{"a":"1"}')
})

t.test('sizes around the limits of messages and sockets arrive whole', async t => {
  for (const size of [1, 15, 16, 17, 65535, 65536, 65537, 3_000_001]) {
    const data = Buffer.alloc(size, 'abcdefg')
    const response = await client.put('/size', data, { responseType: 'json' })
    t.equal(response.data.body.length, size)
    t.ok(workload.last().body.equals(data), String(size))
  }
})

t.test('a stream that breaks ends the request before it is sent', async t => {
  const count = workload.received.length
  const failing = Readable.from((function * () { yield 'half'; throw new Error('disk gone') })())
  await t.rejects(post(failing), { message: 'disk gone' })
  const cut = new Readable({ read () {} })
  setImmediate(() => cut.destroy())
  await t.rejects(post(cut), { code: 'ERR_POLARIS_UNSUPPORTED_REQUEST', message: /closed before its end/ })
  await t.rejects(post(cut), { code: 'ERR_POLARIS_UNSUPPORTED_REQUEST' }, 'also one that was closed long before')
  t.equal(workload.received.length, count)
})
