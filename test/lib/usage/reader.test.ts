/** Answers are read within their bounds, coded or not, and what goes wrong in reading costs nothing but the counts. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { formatUsage } from '../../../lib/usage/counts.ts'
import { createUsageReader } from '../../../lib/usage/reader.ts'
import { cut } from '../../fixtures/vectors.ts'

const answer = '{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}'
const usage = 'input=7, output=3, total=10'

/** What is reported of an answer that comes in these pieces; undefined if nothing is. */
async function read (
  content: string | Uint8Array, coding?: string, { offsets = [], type = 'application/json', most = 2 ** 20 }:
  { offsets?: readonly number[], type?: string, most?: number } = {}
): Promise<string | undefined> {
  const reader = createUsageReader({ 'content-type': type, 'content-encoding': coding }, most)
  for (const piece of cut(Buffer.from(content), offsets)) await reader?.push(Buffer.from(piece))
  const found = await reader?.end()
  reader?.close()
  return found && formatUsage(found)
}

t.test('media types are compared without case and parameters', async t => {
  for (const type of ['application/json', 'Application/JSON; charset=utf-8', 'application/json ;x']) {
    t.equal(await read(answer, undefined, { type }), usage, type)
  }
  for (const type of ['', 'text/plain', 'application/jsonx', 'application/x-ndjson', 'text/event-streams']) {
    t.equal(createUsageReader({ 'content-type': type }), undefined, type)
  }
  t.equal(createUsageReader({}), undefined)
})

const coded: Readonly<Record<string, (text: string) => Uint8Array>> = {
  gzip: gzipSync,
  'x-gzip': gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
  'GZIP, br': text => brotliCompressSync(gzipSync(text)),
  identity: text => Buffer.from(text)
}
for (const [coding, encode] of Object.entries(coded)) {
  t.test(`${coding}: read in any cut, and nothing if it breaks off`, async t => {
    const bytes = encode(answer)
    t.equal(await read(bytes, coding), usage)
    await fc.assert(fc.asyncProperty(fc.array(fc.nat(bytes.length)), async offsets => {
      t.equal(await read(bytes, coding, { offsets }), usage)
    }), { numRuns: 10 })
    for (let end = 0; end < bytes.length - 8; end += 7) {
      t.equal(await read(bytes.subarray(0, end), coding), undefined, `${end} bytes`)
    }
    const events = encode(`data: ${answer}\n\n`)
    t.equal(await read(events, coding, { type: 'text/event-stream' }), usage)
  })
}

t.test('deflate without its header is known, too; too many codings and others are not', async t => {
  t.equal(await read(deflateRawSync(answer), 'deflate'), usage)
  t.equal(createUsageReader({ 'content-type': 'application/json', 'content-encoding': 'other' }), undefined)
  t.equal(
    createUsageReader({ 'content-type': 'application/json', 'content-encoding': 'gzip,'.repeat(6) }), undefined
  )
})

t.test('of JSON no more is looked at than may be, coded or not', async t => {
  const padded = (length: number) => answer.padEnd(length)
  t.equal(await read(padded(1000), undefined, { most: 1000 }), usage)
  t.equal(await read(padded(1001), undefined, { most: 1000 }), undefined)
  t.equal(await read(padded(1001), undefined, { most: 1000, offsets: [500, 1000] }), undefined)
  t.equal(await read(gzipSync(padded(1000)), 'gzip', { most: 1000 }), usage)
  t.equal(await read(gzipSync(padded(100_000)), 'gzip', { most: 1000 }), undefined)
  // Members that decode to nothing.
  const nothing = Buffer.concat([...Array.from({ length: 100 }, () => gzipSync('')), gzipSync(answer)])
  t.equal(await read(nothing, 'gzip', { most: 4000 }), usage)
  t.equal(await read(nothing, 'gzip', { most: 1000 }), undefined)
})

t.test('a long coded stream is read to its end, no faster than it is decoded', async t => {
  const event = `data: {"choices":[{"delta":{"content":"${'x'.repeat(500)}"}}]}\n\n`
  const stream = zstdCompressSync(event.repeat(20_000) + `data: ${answer}\n\n`)
  t.equal(await read(stream, 'zstd', { type: 'text/event-stream' }), usage)
  const noise = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i * 7919) & 0xff))
  t.equal(await read(gzipSync(Buffer.concat([Buffer.from(`data: ${answer}\n\n`), noise])), 'gzip', {
    type: 'text/event-stream', offsets: Array.from({ length: 100 }, (_, i) => i * 1000)
  }), usage)
})

t.test('whatever bytes come with whatever coding, nothing is thrown', async t => {
  const coding = fc.constantFrom(...Object.keys(coded), 'deflate, gzip')
  await fc.assert(fc.asyncProperty(fc.uint8Array(), coding, fc.array(fc.nat(50)), async (bytes, coding, offsets) => {
    await read(bytes, coding, { offsets })
    const reader = createUsageReader({ 'content-type': 'application/json', 'content-encoding': coding })
    const pushed = reader?.push(Buffer.from(bytes))
    reader?.close()
    await pushed
    await reader?.push(Buffer.from(bytes))
    await reader?.end()
  }))
})
