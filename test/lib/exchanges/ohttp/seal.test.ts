/** Responses on their way into Binary HTTP: lengths that do not hold, and header values of any form. */
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { sealStream } from '../../../../lib/exchanges/ohttp/chunked.ts'
import { headOf, trimmed } from '../../../../lib/exchanges/ohttp/response-head.ts'
import type { ChunkSealer } from '../../../../lib/exchanges/ohttp/response.ts'
import { own } from '../../../../lib/streams/owned.ts'

const TOLD = 300_000
const unsealed: ChunkSealer = {
  seal: (...plaintexts) => own(Buffer.concat(plaintexts)),
  final: (plaintext = new Uint8Array()) => own(Buffer.from(plaintext))
}

function response (bytes: number, told: string) {
  return {
    status: 200,
    headers: { 'content-length': told },
    body: Readable.from([Buffer.alloc(100_000), Buffer.alloc(bytes - 100_000)]),
    fromWorkload: true
  }
}

t.test('a body as long as announced', async t => {
  t.ok((await buffer(await sealStream(response(TOLD, String(TOLD)), unsealed, 0) as Readable)).length > TOLD)
})

for (const bytes of [TOLD - 1, TOLD + 1]) {
  t.test(`${bytes} bytes when ${TOLD} were announced`, async t => {
    await t.rejects(
      buffer(await sealStream(response(bytes, String(TOLD)), unsealed, 0) as Readable), { code: 'upstream-invalid' }
    )
  })
}

t.test('a length that no number holds is none', async t => {
  for (const told of ['9007199254740993', 'x', '-1']) {
    t.ok((await buffer(await sealStream(response(TOLD, told), unsealed, 0) as Readable)).length > TOLD, told)
  }
})

t.test('blanks and tabs at the ends of a value go, and nothing else', t => {
  for (const [value, expected] of [
    ['', ''], [' ', ''], ['\t \t', ''], [' a', 'a'], ['a\t', 'a'], [' a b ', 'a b'], ['\u00a0a\u00a0', '\u00a0a\u00a0'],
    ['a', 'a']
  ] as const) t.equal(trimmed(value), expected)
  t.end()
})

t.test('blanks within a value cost a step each', t => {
  let steps = 0
  class Counting extends String {
    override charCodeAt (index: number): number {
      steps++
      return super.charCodeAt(index)
    }
  }
  for (const length of [1000, 32_000]) {
    steps = 0
    trimmed(new Counting(`x${' '.repeat(length)}y`) as string)
    t.ok(steps <= length + 10, `${steps} steps for ${length} blanks`)
  }
  t.end()
})

t.test('a header that is called as a property of every object is a header', t => {
  const headers = Object.fromEntries([['__proto__', 'a'], ['constructor', 'b']])
  t.strictSame(
    headOf({ status: 200, headers, body: undefined, fromWorkload: true }).headers,
    [['__proto__', 'a'], ['constructor', 'b']]
  )
  t.end()
})
