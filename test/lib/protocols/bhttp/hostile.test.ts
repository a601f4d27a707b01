/** Binary HTTP from those who mean harm: truncated, malformed, over each limit by one, or never ending. */
import t from 'tap'
import fc from 'fast-check'
import { createRequestReader } from '../../../../lib/protocols/bhttp/reader.ts'
import {
  contentChunkPrefix, encodeEnd, encodeRequest, encodeRequestHead, encodeResponse, encodeResponseHead
} from '../../../../lib/protocols/bhttp/writer.ts'
import { BhttpError, DEFAULT_BHTTP_LIMITS } from '../../../../lib/protocols/bhttp/bhttp.ts'
import type { BhttpErrorCode, BhttpLimits, Field } from '../../../../lib/protocols/bhttp/bhttp.ts'
import { ascii, concat } from '../../../../lib/protocols/bytes.ts'
import { encodeVarint } from '../../../../lib/protocols/varint.ts'
import { readMessage } from '../../../fixtures/bhttp.ts'
import { cut, cuts, oneByOne } from '../../../fixtures/vectors.ts'

const HEAD = {
  method: 'POST',
  scheme: 'https',
  authority: 'a.example',
  path: '/p',
  headers: [['x', '1'], ['y', '']] satisfies Field[]
}
const CONTENT = Buffer.from('0123456789'.repeat(20))

function text (value: string): Uint8Array {
  return concat(encodeVarint(value.length), Buffer.from(value, 'latin1'))
}

function streamed (content: Uint8Array, trailers: readonly Field[]): Uint8Array {
  return concat(encodeRequestHead(HEAD), contentChunkPrefix(3), content.subarray(0, 3),
    contentChunkPrefix(content.length - 3), content.subarray(3), encodeEnd(trailers))
}

function code (kind: 'request' | 'response', message: Uint8Array, limits?: BhttpLimits): BhttpErrorCode | 'read' {
  const outcomes = [[message], oneByOne(message)].map(pieces => {
    try {
      readMessage(kind, pieces, limits)
      return 'read'
    } catch (error) {
      if (error instanceof BhttpError) return error.code
      throw error
    }
  })
  if (outcomes[0] !== outcomes[1]) throw new Error(`whole: ${outcomes[0]}, octet by octet: ${outcomes[1]}`)
  return outcomes[0] ?? 'read'
}

t.test('a message may end only in front of a section that it leaves out', async t => {
  const control = concat(Uint8Array.of(0), ...['POST', 'https', 'a.example', '/p'].map(text))
  const known = encodeRequest(HEAD, { content: CONTENT, trailers: [['t', 'v']] })
  const headersEnd = encodeRequest(HEAD).length
  const contentEnd = encodeRequest(HEAD, { content: CONTENT }).length
  for (let length = 0; length < known.length; length++) {
    const legal = [control.length, headersEnd, contentEnd].includes(length)
    t.equal(code('request', known.subarray(0, length)), legal ? 'read' : 'ERR_BHTTP_TRUNCATED', `${length}`)
  }
  const indeterminate = streamed(CONTENT, [['t', 'v']])
  const legal = [
    control.length, encodeRequestHead(HEAD).length, indeterminate.length - encodeEnd([['t', 'v']]).length + 1
  ]
  for (let length = 0; length < indeterminate.length; length++) {
    t.equal(
      code('request', indeterminate.subarray(0, length)), legal.includes(length) ? 'read' : 'ERR_BHTTP_TRUNCATED',
      `${length}`
    )
  }
  const informational = encodeResponseHead({ status: 200, headers: [] }, [{ status: 103, headers: [['a', 'b']] }])
  for (let length = 0; length < informational.length - 1; length++) {
    t.equal(code('response', informational.subarray(0, length)), 'ERR_BHTTP_TRUNCATED', `${length}`)
  }
})

t.test('malformed messages are refused', async t => {
  const control = (method: string, scheme: string, authority: string, path: string) =>
    concat(Uint8Array.of(0), ...[method, scheme, authority, path].map(text))
  const fields = (name: string, value: string) =>
    concat(control('GET', 'https', '', '/'), encodeVarint(name.length + value.length + 2), text(name), text(value))
  const cases: [string, 'request' | 'response', Uint8Array][] = [
    ['a response where a request is due', 'request', encodeResponse({ status: 200, headers: [] })],
    ['a request where a response is due', 'response', encodeRequest(HEAD)],
    ['an unknown framing indicator', 'request', Uint8Array.of(4)],
    ['an empty method', 'request', control('', 'https', '', '/')],
    ['white space in the method', 'request', control('GET /x', 'https', '', '/')],
    ['an unknown scheme', 'request', control('GET', 'ftp', '', '/')],
    ['user information', 'request', control('GET', 'https', 'user@host', '/')],
    ['a line break in the authority', 'request', control('GET', 'https', 'host\r\nx: y', '/')],
    ['an absolute path', 'request', control('GET', 'https', '', 'https://other.example/')],
    ['an empty path', 'request', control('CONNECT', 'https', 'host:1', '')],
    ['a path with white space', 'request', control('GET', 'https', '', '/a HTTP/1.1\r\nx: y')],
    ['a path with a fragment', 'request', control('GET', 'https', '', '/a#b')],
    ['a path with an octet above 7e', 'request', control('GET', 'https', '', '/\xe9')],
    ['an upper-case field name', 'request', fields('X', '1')],
    ['a pseudo-field', 'request', fields(':path', '/other')],
    ['a field name that is not a token', 'request', fields('a b', '1')],
    ['an empty field name', 'request', fields('', '1')],
    ['a line break in a field value', 'request', fields('a', 'b\r\nc: d')],
    ['a zero in a field value', 'request', fields('a', 'b\0')],
    ['a field value that starts with white space', 'request', fields('a', ' b')],
    ['a field value that ends with white space', 'request', fields('a', 'b\t')],
    [
      'a field line that leaves its section', 'request',
      concat(control('GET', 'https', '', '/'), Uint8Array.of(3), text('a'), text('bcdef'))
    ],
    ['half a field line', 'request', concat(control('GET', 'https', '', '/'), Uint8Array.of(2), text('a'))],
    [
      'padding that is not zero', 'request',
      concat(encodeRequest(HEAD, { content: CONTENT, trailers: [['t', 'v']] }), Uint8Array.of(0, 0, 1))
    ],
    ['status 99', 'response', concat(Uint8Array.of(1), encodeVarint(99))],
    ['status 600', 'response', concat(Uint8Array.of(1), encodeVarint(600))]
  ]
  for (const [name, kind, message] of cases) t.equal(code(kind, message), 'ERR_BHTTP_MALFORMED', name)
})

t.test('everything has a limit, to the octet', async t => {
  const limits = {
    ...DEFAULT_BHTTP_LIMITS,
    method: 4,
    authority: 9,
    path: 2,
    fieldName: 1,
    fieldValue: 1,
    fieldSection: 40,
    fields: 2,
    informational: 2,
    padding: 10
  }
  const at = { ...HEAD, headers: [['x', '1'], ['y', '2']] satisfies Field[] }
  const early = (count: number) => encodeResponseHead(
    { status: 200, headers: [] }, Array.from({ length: count }, () => ({ status: 100, headers: [] }))
  )
  const cases: [string, 'request' | 'response', Uint8Array, Uint8Array][] = [
    ['method', 'request', encodeRequestHead(at), encodeRequestHead({ ...at, method: 'PATCH' })],
    ['authority', 'request', encodeRequestHead(at), encodeRequestHead({ ...at, authority: 'aa.example' })],
    ['path', 'request', encodeRequestHead(at), encodeRequestHead({ ...at, path: '/pp' })],
    ['field name', 'request', encodeRequestHead(at), encodeRequestHead({ ...at, headers: [['xx', '']] })],
    ['field value', 'request', encodeRequestHead(at), encodeRequestHead({ ...at, headers: [['x', '11']] })],
    ['fields', 'request', encodeRequest(at), encodeRequest({ ...at, headers: [...at.headers, ['z', '']] })],
    [
      'trailers', 'request', encodeRequest(at, { trailers: at.headers }),
      encodeRequest(at, { trailers: [...at.headers, ['z', '']] })
    ],
    ['informational', 'response', early(2), early(3)],
    [
      'padding', 'request', concat(encodeRequestHead(at), new Uint8Array(12)),
      concat(encodeRequestHead(at), new Uint8Array(13))
    ]
  ]
  for (const [name, kind, allowed, refused] of cases) {
    t.equal(code(kind, allowed, limits), 'read', name)
    t.equal(code(kind, refused, limits), 'ERR_BHTTP_LIMIT', name)
  }
  const section = { ...DEFAULT_BHTTP_LIMITS, fieldSection: 10 }
  const six = { ...HEAD, headers: [['aaaa', 'bbbb']] satisfies Field[] }
  const seven = { ...HEAD, headers: [['aaaaaa', 'bbbbb']] satisfies Field[] }
  for (const encode of [encodeRequest, encodeRequestHead]) {
    t.equal(code('request', encode(six), section), 'read')
    t.equal(code('request', encode(seven), section), 'ERR_BHTTP_LIMIT')
  }
})

t.test('lengths of 2^62 - 1 are refused before anything is waited for', async t => {
  const huge = new Uint8Array(8).fill(0xff)
  const control = concat(Uint8Array.of(0), ...['GET', 'https', '', '/'].map(text))
  for (const message of [
    concat(Uint8Array.of(0), huge), concat(control, huge), concat(control, Uint8Array.of(0), huge)
  ]) {
    t.throws(() => createRequestReader().push(message), { code: 'ERR_BHTTP_LIMIT' })
  }
})

t.test('a refused message stays refused', async t => {
  const reader = createRequestReader()
  t.throws(() => reader.push(Uint8Array.of(9)), { code: 'ERR_BHTTP_MALFORMED' })
  t.throws(() => reader.push(encodeRequest(HEAD)), { code: 'ERR_BHTTP_MALFORMED' })
  t.throws(() => reader.end(), { code: 'ERR_BHTTP_MALFORMED' })
  const ended = createRequestReader()
  ended.push(encodeRequest(HEAD))
  ended.end()
  t.throws(() => ended.push(Uint8Array.of(0)), { code: 'ERR_BHTTP_MALFORMED' })
})

t.test('the head comes out as soon as it is complete', async t => {
  const head = encodeRequestHead(HEAD)
  const reader = createRequestReader()
  t.strictSame(reader.push(head.subarray(0, -1)), [])
  t.match(reader.push(head.subarray(-1)), [{ type: 'request', head: HEAD }])
  t.match(reader.push(concat(contentChunkPrefix(100), ascii('ab'))), [{ type: 'content', bytes: ascii('ab') }])
})

t.test('the head of a message of known length comes out with the length of its content', async t => {
  const message = encodeRequest(HEAD, { content: new Uint8Array(100) })
  const reader = createRequestReader()
  const start = message.length - 100
  t.strictSame(reader.push(message.subarray(0, start - 1)), [])
  t.strictSame(reader.push(message.subarray(start - 1, start)), [{ type: 'request', head: HEAD, contentLength: 100 }])
  const nothing = createRequestReader()
  t.strictSame(nothing.push(encodeRequest(HEAD)), [], 'a length of zero may be left out, so that only the end tells')
  t.strictSame(nothing.end(), [{ type: 'request', head: HEAD, contentLength: 0 }])
  const beyond = concat(message.subarray(0, start - 2), Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
  t.throws(() => createRequestReader().push(beyond), { code: 'ERR_BHTTP_LIMIT' })
})

t.test('any split gives the same message', async () => {
  for (const message of [
    encodeRequest(HEAD, { content: CONTENT, trailers: [['t', 'v']], padTo: 64 }), streamed(CONTENT, [['t', 'v']])
  ]) {
    const whole = JSON.stringify(readMessage('request', [message]))
    fc.assert(fc.property(cuts, offsets => JSON.stringify(readMessage('request', cut(message, offsets))) === whole))
  }
})

t.test('random octets and mutations are read or refused, never anything else', async () => {
  const message = encodeRequest(HEAD, { content: CONTENT, trailers: [['t', 'v']] })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0, 1, 2, 3), (bytes, framing) => {
    code(framing % 2 === 0 ? 'request' : 'response', concat(Uint8Array.of(framing), bytes))
  }))
  fc.assert(fc.property(fc.nat(message.length - 1), fc.integer({ min: 0, max: 255 }), (offset, octet) => {
    const mutated = Uint8Array.from(message)
    mutated[offset] = octet
    code('request', mutated)
  }))
})

t.test('octet by octet, the reader copies each octet a bounded number of times', async t => {
  const head = { ...HEAD, headers: [['a', 'v'.repeat(32_000)], ['b', 'w'.repeat(32_000)]] satisfies Field[] }
  for (const message of [
    encodeRequest(head), encodeRequestHead(head), encodeRequest(HEAD, { content: new Uint8Array(1 << 20) })
  ]) {
    const reader = createRequestReader()
    for (let i = 0; i < message.length; i++) reader.push(message.subarray(i, i + 1))
    reader.end()
    t.ok(reader.copied <= 4 * message.length, `${reader.copied} copied of ${message.length}`)
  }
})

t.test('the writer refuses what the reader would refuse', async t => {
  const cases: [string, () => unknown][] = [
    ['method', () => encodeRequest({ ...HEAD, method: 'G T' })],
    ['scheme', () => encodeRequest({ ...HEAD, scheme: 'ws' })],
    ['path', () => encodeRequest({ ...HEAD, path: 'p' })],
    ['field name', () => encodeRequest({ ...HEAD, headers: [[':method', 'x']] })],
    ['Kelvin sign', () => encodeRequest({ ...HEAD, headers: [['\u212a', 'x']] })],
    ['field value', () => encodeRequest({ ...HEAD, headers: [['x', 'a\nb']] })],
    ['character above U+00FF', () => encodeRequest({ ...HEAD, headers: [['x', '\u0141']] })],
    ['final status', () => encodeResponse({ status: 100, headers: [] })],
    ['informational status', () => encodeResponseHead({ status: 200, headers: [] }, [{ status: 200, headers: [] }])]
  ]
  for (const [name, encode] of cases) t.throws(encode, { code: 'ERR_BHTTP_MALFORMED' }, name)
  t.throws(() => contentChunkPrefix(0), RangeError)

  const fields = (count: number, name: number, value: number) => Array.from(
    { length: count }, (): Field => ['n'.repeat(name), 'v'.repeat(value)]
  )
  const limits: [string, (over: number) => unknown][] = [
    ['method', over => encodeRequest({ ...HEAD, method: 'M'.repeat(32 + over) })],
    ['authority', over => encodeRequestHead({ ...HEAD, authority: 'a'.repeat(300 + over) })],
    ['path', over => encodeRequest({ ...HEAD, path: `/${'p'.repeat(16_383 + over)}` })],
    ['field name', over => encodeRequest({ ...HEAD, headers: fields(1, 256 + over, 0) })],
    ['field value', over => encodeResponse({ status: 200, headers: fields(1, 1, 32_768 + over) })],
    ['number of fields', over => encodeResponseHead({ status: 200, headers: fields(200 + over, 1, 0) })],
    [
      'field section',
      over => encodeResponseHead({ status: 200, headers: [...fields(2, 1, 32_762), ...fields(over, 1, 0)] })
    ],
    ['trailers', over => encodeEnd(fields(200 + over, 1, 0))]
  ]
  for (const [name, encode] of limits) {
    t.doesNotThrow(() => encode(0), name)
    t.throws(() => encode(1), { code: 'ERR_BHTTP_LIMIT' }, name)
  }
})
