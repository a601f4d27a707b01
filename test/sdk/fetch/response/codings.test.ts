/**
 * Content codings: through the SDK, a response is what the platform's fetch makes of it without the SDK. Both ask the
 * same workload, and every case compares status, headers and bytes.
 */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const json = Buffer.from(JSON.stringify({ text: 'grüße, '.repeat(30_000) }))
const flipped = (bytes: Buffer, at: number) => bytes.map((byte, i) => i === bytes.length - at ? byte ^ 1 : byte)
const empty = Buffer.alloc(0)

const cases: [name: string, coding: string | string[], body: Uint8Array][] = [
  ['gzip', 'gzip', gzipSync(json)], ['x-gzip', 'x-gzip', gzipSync(json)], ['br', 'br', brotliCompressSync(json)],
  ['zstd', 'zstd', zstdCompressSync(json)],
  ['deflate', 'deflate', deflateSync(json)], ['deflate without a header', 'deflate', deflateRawSync(json)],
  ['an upper-case name', 'GZIP', gzipSync(json)], ['white space', 'gzip , br', brotliCompressSync(gzipSync(json))],
  ['two', 'gzip, br', brotliCompressSync(gzipSync(json))],
  ['two, raw deflate inside', 'deflate, zstd', zstdCompressSync(deflateRawSync(json))],
  ['two header lines', ['gzip', 'br'], brotliCompressSync(gzipSync(json))],
  ['five', 'gzip,gzip,gzip,gzip,gzip', [1, 2, 3, 4, 5].reduce<Buffer>(body => gzipSync(body), json)],
  ['identity', 'identity', json], ['identity and gzip', 'identity, gzip', gzipSync(json)], ['no name', '', json],
  ['unknown', 'made-up', json], ['unknown inside', 'made-up, gzip', gzipSync(json)],
  ['unknown outside', 'gzip, made-up', gzipSync(json)], ['an empty name', 'gzip,', gzipSync(json)],
  ['compress', 'compress', json], ['a parameter', 'gzip;q=1', gzipSync(json)],
  ['empty gzip', 'gzip', empty], ['empty br', 'br', empty], ['empty deflate', 'deflate', empty],
  ['empty and double', 'br, gzip', empty], ['empty inside of gzip', 'br, gzip', gzipSync(empty)],
  ['one byte of gzip', 'gzip', gzipSync(json).subarray(0, 1)],
  ['truncated gzip', 'gzip', gzipSync(json).subarray(0, -20)],
  ['gzip without its checksum', 'gzip', gzipSync(json).subarray(0, -8)],
  ['truncated deflate', 'deflate', deflateSync(json).subarray(0, -20)],
  ['truncated raw deflate', 'deflate', deflateRawSync(json).subarray(0, -20)],
  ['truncated br', 'br', brotliCompressSync(json).subarray(0, -3)],
  ['members of gzip', 'gzip', Buffer.concat([gzipSync(json), gzipSync(json)])]
]
/** What the platform's fetch fails with says nothing; the SDK's says what is wrong. */
const faults: [name: string, coding: string, body: Uint8Array, message: RegExp][] = [
  ['text that says gzip', 'gzip', json, /content-encoding says gzip/],
  ['text that says zstd', 'zstd', json, /content-encoding says zstd/],
  ['bytes that say br', 'br', Buffer.alloc(1000, 0xff), /content-encoding says br/],
  ['gzip with a wrong checksum', 'gzip', flipped(gzipSync(json), 6), /content-encoding says gzip/],
  ['truncated zstd', 'zstd', zstdCompressSync(json).subarray(0, -3), /content-encoding says zstd/],
  ['six', 'gzip,gzip,gzip,gzip,gzip,gzip', json, /6 content codings/],
  ['text inside of gzip', 'br, gzip', gzipSync(Buffer.alloc(1000, 0xff)), /content-encoding says br/]
]
const byName = new Map([...cases, ...faults].map(([name, coding, body]) => [name, { coding, body }]))

const workload = await startWorkload(t, (request, response) => {
  const [, status = '', name = ''] = request.url?.split('/') ?? []
  const { coding, body } = byName.get(decodeURIComponent(name))!
  response.writeHead(
    Number(status),
    { 'content-type': 'application/json', 'content-encoding': coding as string, 'content-length': body.length }
  ).end(body)
})
const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
const polarisFetch = createPolarisFetch({ baseURL: proxy.url })

async function summary (response: Response) {
  const { status, headers } = response
  return {
    status,
    headers: ['content-encoding', 'content-type', 'content-length'].map(name => headers.get(name)),
    body: Buffer.from(await response.arrayBuffer())
  }
}

for (const [name] of cases) {
  t.test(`${name}: as native`, async t => {
    for (const status of [200, 404]) {
      const path = `/${status}/${encodeURIComponent(name)}`
      const [native, ours] = await Promise.all(
        [fetch(workload.url + path).then(summary), polarisFetch(path).then(summary)]
      )
      t.strictSame({ ...ours, body: ours.body.length }, { ...native, body: native.body.length })
      t.ok(ours.body.equals(native.body))
    }
  })
}

t.test('an empty body stays empty, whatever its coding', async t => {
  byName.set('empty zstd', { coding: 'zstd', body: empty })
  t.strictSame(await (await polarisFetch('/404/empty%20zstd')).text(), '')
})

for (const [name, , , message] of faults) {
  t.test(`${name}: an error with a code and a text`, async t => {
    const path = `/200/${encodeURIComponent(name)}`
    await t.rejects(fetch(workload.url + path).then(response => response.arrayBuffer()), TypeError, 'native fails, too')
    const response = await polarisFetch(path)
    t.equal(response.status, 200)
    await t.rejects(response.arrayBuffer(), { name: 'PolarisFetchError', code: 'ERR_POLARIS_CONTENT_CODING', message })
  })
}

t.test('an encoded response streams: what was flushed arrives before the end', async t => {
  const { createGzip } = await import('node:zlib')
  const streaming = await startWorkload(t, (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' })
    const gzip = createGzip()
    gzip.pipe(response)
    gzip.write('first')
    gzip.flush()
  })
  const { url } = await startProxy(t, { workloadBaseUrl: streaming.url })
  const response = await createPolarisFetch({ baseURL: url })('/')
  const reader = response.body!.getReader()
  t.equal(Buffer.from((await reader.read()).value!).toString(), 'first')
  await reader.cancel()
})

t.test('an encoded response that is cut off is incomplete, not wrongly encoded', async t => {
  const cut = await startWorkload(t, (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': 1000 })
    response.write(gzipSync(json).subarray(0, 100), () => response.destroy())
  })
  const { url } = await startProxy(t, { workloadBaseUrl: cut.url })
  await t.rejects((await createPolarisFetch({ baseURL: url })('/')).text(), { code: 'ERR_POLARIS_INCOMPLETE' })
})
