/** Binary HTTP: the examples of RFC 9292, and bhttp-js as a peer in both directions. */
import t from 'tap'
import fc from 'fast-check'
import { BHttpDecoder, BHttpEncoder } from 'bhttp-js'
import {
  contentChunkPrefix, encodeEnd, encodeRequest, encodeRequestHead, encodeResponse, encodeResponseHead
} from '../../../../lib/protocols/bhttp/writer.ts'
import type { Field } from '../../../../lib/protocols/bhttp/bhttp.ts'
import { concat } from '../../../../lib/protocols/bytes.ts'
import { readMessage } from '../../../fixtures/bhttp.ts'
import { hex, oneByOne, sharedVectors, unhex } from '../../../fixtures/vectors.ts'

// RFC 9292, section 5.1.
const REQUEST = {
  method: 'GET',
  scheme: 'https',
  authority: '',
  path: '/hello.txt',
  headers: [
    ['user-agent', 'curl/7.16.3 libcurl/7.16.3 OpenSSL/0.9.7l zlib/1.2.3'],
    ['host', 'www.example.com'],
    ['accept-language', 'en, mi']
  ] satisfies Field[]
}
const REQUEST_FIELDS =
  '' +
  '0a757365722d6167656e74346375726c2f372e31362e33206c69626375726c2f372e31362e33204f70656e53534c2f302e392e376c207a6c69622f312e322e3304686f73740f7777772e6578616d706c652e636f6d0f6163636570742d6c616e677561676506656e2c206d69'
const REQUEST_CONTROL = '03474554056874747073000a2f68656c6c6f2e747874'
const KNOWN_REQUEST = `00${REQUEST_CONTROL}406c${REQUEST_FIELDS}0000`
const INDETERMINATE_REQUEST = `02${REQUEST_CONTROL}${REQUEST_FIELDS}00000000000000000000000000`

// Section 5.2.
const LINK_STYLE = '</style.css>; rel=preload; as=style'
const LINK_SCRIPT = '</script.js>; rel=preload; as=script'
const INDETERMINATE_RESPONSE =
  '' +
  '0340660772756e6e696e670a22736c65657020313522004067046c696e6b233c2f7374796c652e6373733e3b2072656c3d7072656c6f61643b2061733d7374796c65046c696e6b243c2f7363726970742e6a733e3b2072656c3d7072656c6f61643b2061733d7363726970740040c804646174651d4d6f6e2c203237204a756c20323030392031323a32383a353320474d5406736572766572064170616368650d6c6173742d6d6f6469666965641d5765642c203232204a756c20323030392031393a31353a353620474d5404657461671422333461613338372d642d3135363865623030220d6163636570742d72616e6765730562797465730e636f6e74656e742d6c656e67746802353104766172790f4163636570742d456e636f64696e670c636f6e74656e742d747970650a746578742f706c61696e003348656c6c6f20576f726c6421204d7920636f6e74656e7420696e636c75646573206120747261696c696e672043524c462e0d0a0000'
const KNOWN_RESPONSE =
  '0140c8001d5468697320636f6e74656e7420636f6e7461696e732043524c462e0d0a0d07747261696c65720474657874'
const RESPONSE_CONTENT = 'Hello World! My content includes a trailing CRLF.\r\n'

t.test('the examples of RFC 9292 are read, whole and octet by octet', async t => {
  for (const pieces of [(bytes: Uint8Array) => [bytes], oneByOne]) {
    for (const message of [KNOWN_REQUEST, INDETERMINATE_REQUEST]) {
      const { request, content, trailers } = readMessage('request', pieces(unhex(message)))
      t.strictSame([request, content.length, trailers], [REQUEST, 0, []])
    }
    const indeterminate = readMessage('response', pieces(unhex(INDETERMINATE_RESPONSE)))
    t.strictSame(indeterminate.informational, [
      { status: 102, headers: [['running', '"sleep 15"']] },
      { status: 103, headers: [['link', LINK_STYLE], ['link', LINK_SCRIPT]] }
    ])
    t.equal(indeterminate.response?.status, 200)
    t.equal(indeterminate.response?.headers.length, 8)
    t.equal(indeterminate.content.toString(), RESPONSE_CONTENT)
    const known = readMessage('response', pieces(unhex(KNOWN_RESPONSE)))
    t.strictSame(known.response, { status: 200, headers: [] })
    t.equal(known.content.toString(), 'This content contains CRLF.\r\n')
    t.strictSame(known.trailers, [['trailer', 'text']])
  }
})

t.test('the examples of RFC 9292 are written to the octet', async t => {
  // Ours leaves out the empty content and trailers of the first two, and the padding of the second.
  t.equal(hex(encodeRequest(REQUEST)), KNOWN_REQUEST.slice(0, -4))
  t.equal(hex(encodeRequest(REQUEST, { padTo: 150 })).slice(0, KNOWN_REQUEST.length), KNOWN_REQUEST)
  t.equal(hex(concat(encodeRequestHead(REQUEST), encodeEnd())), INDETERMINATE_REQUEST.slice(0, -20))
  const { informational, response, content } = readMessage('response', [unhex(INDETERMINATE_RESPONSE)])
  t.ok(response)
  if (response === undefined) return
  t.equal(
    hex(concat(encodeResponseHead(response, informational), contentChunkPrefix(content.length), content, encodeEnd())),
    INDETERMINATE_RESPONSE
  )
  t.equal(
    hex(encodeResponse({ status: 200, headers: [] }, {
      content: Buffer.from('This content contains CRLF.\r\n'), trailers: [['Trailer', 'text']]
    })),
    KNOWN_RESPONSE
  )
})

t.test('the vectors kept next to the project are the ones printed here', async t => {
  const vectors = sharedVectors('rfc9292.json')
  if (typeof vectors === 'string') return t.pass(`skipped: ${vectors}`)
  t.match(vectors['messages'], [
    { message: KNOWN_REQUEST }, { message: INDETERMINATE_REQUEST }, { message: INDETERMINATE_RESPONSE },
    { message: KNOWN_RESPONSE }
  ])
})

t.test('what is written is read back: names in lower case, values octet for octet', async t => {
  const headers: Field[] = [
    ['X-Mixed', 'a\tb'], ['empty', ''], ['latin', '\xe9\xff'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']
  ]
  const expected = headers.map(([name, value]) => [name.toLowerCase(), value])
  const head = { method: 'POST', scheme: 'http', authority: '[::1]:8080', path: '/a?b=c|"d"', headers }
  const content = new Uint8Array(70_000).fill(7)
  const known = readMessage('request', [encodeRequest(head, { content, trailers: [['T', 'x']], padTo: 4096 })])
  t.strictSame(known.request, { ...head, headers: expected })
  t.ok(known.content.equals(content))
  t.strictSame(known.trailers, [['t', 'x']])
  const streamed = readMessage('request', [
    encodeRequestHead(head), contentChunkPrefix(70_000), content, contentChunkPrefix(1), Uint8Array.of(9),
    encodeEnd([['t', 'x']])
  ])
  t.strictSame(streamed.request, { ...head, headers: expected })
  t.ok(streamed.content.equals(concat(content, Uint8Array.of(9))))
  t.strictSame(streamed.trailers, [['t', 'x']])
  t.equal(encodeRequest(head, { content, padTo: 4096 }).length % 4096, 0)
})

t.test('messages of bhttp-js are read, and bhttp-js reads ours', async t => {
  const request = new Request('https://www.example.com/a?b=c', {
    method: 'POST', headers: { 'X-One': '1', 'content-type': 'text/plain' }, body: 'some content'
  })
  // Version 0.2.1 leaves the query out.
  const theirs = readMessage('request', [await new BHttpEncoder().encodeRequest(request)])
  t.match(theirs.request, { method: 'POST', scheme: 'https', authority: 'www.example.com', path: '/a' })
  t.strictSame(Object.fromEntries(theirs.request?.headers ?? []), { 'x-one': '1', 'content-type': 'text/plain' })
  t.equal(theirs.content.toString(), 'some content')
  const response = readMessage('response', [
    await new BHttpEncoder().encodeResponse(new Response('their content', { status: 418, headers: { 'x-two': '2' } }))
  ])
  t.equal(response.response?.status, 418)
  t.equal(response.content.toString(), 'their content')

  const head = {
    method: 'PUT', scheme: 'https', authority: 'example.org', path: '/x', headers: [['x-three', '3']] satisfies Field[]
  }
  const content = Buffer.from('our content')
  for (const ours of [
    encodeRequest(head, { content }),
    concat(
      encodeRequestHead(head), contentChunkPrefix(4), content.subarray(0, 4), contentChunkPrefix(7),
      content.subarray(4), encodeEnd()
    )
  ]) {
    const decoded = new BHttpDecoder().decodeRequest(ours)
    t.equal(decoded.method, 'PUT')
    t.equal(decoded.url, 'https://example.org/x')
    t.equal(decoded.headers.get('x-three'), '3')
    t.equal(await decoded.text(), 'our content')
  }
  const decoded = new BHttpDecoder().decodeResponse(encodeResponse({ status: 201, headers: [] }, { content }))
  t.equal(decoded.status, 201)
  t.equal(await decoded.text(), 'our content')
})

t.test('whatever we write, bhttp-js reads as the same, and we read whatever it writes', async () => {
  const name = fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^_`|~-]{1,20}$/)
  // bhttp-js reads values as UTF-8, so that only ASCII is the same to both.
  const value = fc.stringMatching(/^[!-~](?:[ -~]{0,40}[!-~])?$/)
  const headers = fc.uniqueArray(fc.tuple(name, value), { selector: ([name]) => name, maxLength: 20 })
  const response = fc.record({
    status: fc.integer({ min: 200, max: 599 }).filter(status => ![204, 205, 304].includes(status)),
    headers,
    content: fc.uint8Array({ maxLength: 20_000 })
  })
  await fc.assert(fc.asyncProperty(response, async ({ status, headers, content }) => {
    const chunks = content.length === 0 ? [] : [contentChunkPrefix(content.length), content]
    const ours = [
      encodeResponse({ status, headers }, { content }),
      concat(encodeResponseHead({ status, headers }), ...chunks, encodeEnd())
    ]
    for (const message of ours) {
      const theirs = new BHttpDecoder().decodeResponse(message)
      if (
        theirs.status !== status || JSON.stringify([...theirs.headers]) !== JSON.stringify([...new Headers(headers)])
      ) {
        throw new Error('another head')
      }
      if (!Buffer.from(await theirs.arrayBuffer()).equals(content)) throw new Error('other content')
    }
    const back = readMessage(
      'response', [await new BHttpEncoder().encodeResponse(new Response(Uint8Array.from(content), { status, headers }))]
    )
    if (back.response?.status !== status || !back.content.equals(content)) throw new Error('theirs is read as another')
    for (const [name, value] of headers) {
      if (!back.response.headers.some(([n, v]) => n === name && v === value)) throw new Error('a field is missing')
    }
  }), { numRuns: 200 })
})
