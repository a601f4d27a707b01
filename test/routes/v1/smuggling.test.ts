/**
 * What came out of decryption is untrusted. The original put it on a shared connection as it was: with framing headers
 * of their own, attackers cut in requests of others; with `trailer`, or odd JSON, they ended the process. Here the
 * workload is raw TCP, and every octet that it gets is looked at.
 */
import t from 'tap'
import type { Test } from 'tap'
import { startProxy } from '../../fixtures/proxy.ts'
import { startRawWorkload } from '../../fixtures/raw.ts'
import { v1Client } from '../../fixtures/v1-client.ts'

const CRLF = '\r\n'
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

async function setUp (t: Test) {
  const workload = await startRawWorkload(t, (socket, received) => {
    const [head = '', rest = ''] = received.toString('latin1').split(/\r\n\r\n(?!.*\r\n\r\n)(.*)/s)
    const [, length = '0'] = /content-length: (\d+)(?![^]*content-length)/i.exec(head) ?? []
    if (received.toString('latin1').endsWith(CRLF + CRLF) || rest.length >= Number(length)) socket.write(OK)
  })
  // One connection for everyone, as an attacker wishes.
  const { url } = await startProxy(
    t,
    { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true, workloadConnections: 1 }
  )
  const client = await v1Client(url)
  const victim = async () => {
    const response = await fetch(url, await client.request({ target: '/victim' }))
    t.equal((await client.open(response)).toString(), 'ok', 'a second client gets its own answer')
    t.match(workload.received.join(''), /GET \/victim HTTP\/1\.1\r\n/)
    t.notMatch(workload.received.join(''), /GET \/smuggled/)
  }
  return { workload, url, client, victim }
}

/** Headers that are dropped: the request goes through without them. */
const dropped: Array<[string, Record<string, unknown>]> = [
  ['content-length: 0, before a body that is a request', { 'content-length': '0' }],
  ['content-length longer than the body', { 'Content-Length': '9999' }],
  ['content-length as a number', { 'content-length': 3 }],
  ['transfer-encoding: chunked', { 'transfer-encoding': 'chunked' }],
  ['both', { 'Transfer-Encoding': 'chunked', 'content-length': '5' }],
  ['transfer-encoding: identity', { 'transfer-encoding': 'identity' }],
  ['trailer, which ended the process', { trailer: 'x' }],
  ['connection: close', { connection: 'close' }],
  ['connection that names host and content-length', { connection: 'host, content-length, x-y', 'x-y': 'named' }],
  ['upgrade', { connection: 'upgrade', upgrade: 'h2c', 'http2-settings': 'x' }],
  ['expect', { expect: '100-continue' }],
  ['host', { host: 'elsewhere.example' }],
  ['te', { te: 'trailers' }],
  ['keep-alive and proxy headers', { 'keep-alive': 'timeout=0', 'proxy-authorization': 'x', 'proxy-connection': 'x' }],
  ['accept-encoding', { 'Accept-Encoding': 'gzip' }],
  ['forwarding headers', {
    'x-forwarded-for': '203.0.113.1',
    forwarded: 'for=203.0.113.1',
    'X-Forwarded-Host': 'x',
    'x-forwarded-proto': 'https'
  }],
  ['the proxy\'s own headers', { 'polaris-secure': 'x' }]
]
for (const [name, headers] of dropped) {
  t.test(`inside: ${name}`, async t => {
    const { workload, url, client } = await setUp(t)
    const response = await fetch(url, {
      method: 'POST',
      ...await client.request({ target: '/x', headers: { ...headers, 'x-kept': 'yes' }, body: SMUGGLED })
    })
    t.equal((await client.open(response)).toString(), 'ok')
    const [first = ''] = workload.received.map(String)
    const head = first.slice(0, first.indexOf(CRLF + CRLF))
    t.same(head.toLowerCase().split(CRLF).slice(1).sort(), [
      'accept-encoding: identity', 'connection: keep-alive', `content-length: ${SMUGGLED.length}`,
      `host: 127.0.0.1:${workload.port}`, 'x-kept: yes'
    ])
    t.equal(first.slice(head.length + 4), SMUGGLED, 'what looks like a request is a body')
    const count = workload.received.length
    const answer = await fetch(url, await client.request({ target: '/second' }))
    t.equal((await client.open(answer)).toString(), 'ok')
    t.equal(workload.received.length, count, 'the connection stayed in step, and was used again')
    t.match(workload.received[0]?.toString(), new RegExp(`${SMUGGLED}GET /second HTTP/1.1\r\n`.replaceAll('/', '\\/')))
  })
}

/** Header objects that are refused; strings are the JSON itself. */
const refused: Array<[string, unknown]> = [
  ['line ends in a value', { 'x-y': `a${CRLF}content-length: 0${CRLF}${CRLF}${SMUGGLED}` }],
  ['a bare line feed in a value', { 'x-y': 'a\nx: b' }],
  ['a bare carriage return in a value', { 'x-y': 'a\rx: b' }],
  ['NUL in a value', { 'x-y': 'a\0b' }],
  ['a value beyond Latin-1', { 'x-y': '€\u010d\u010a' }],
  ['line ends in a name', { [`x-y: a${CRLF}host`]: 'b' }],
  ['a space in a name', { 'content-length ': '0' }],
  ['a colon in a name', { 'x:y': 'z' }],
  ['a pseudo-header', { ':authority': 'x' }],
  ['an empty name', { '': 'x' }],
  ['a name beyond ASCII', { 'x-ä': 'x' }],
  ['an array as value', { 'content-length': ['1', '2'] }],
  ['an array with line ends', { 'x-y': [`a${CRLF}b: c`] }],
  ['an object as value', { 'x-y': { toString: 'x' } }],
  ['null as value', { 'x-y': null }],
  ['one name twice, in two cases', { 'X-Y': '1', 'x-y': '2' }],
  ['__proto__', '{"__proto__":{"x-y":"z"}}'],
  ['__proto__, escaped', '{"\\u005f_proto__":{"x-y":"z"}}'],
  ['constructor.prototype', '{"constructor":{"prototype":{"x-y":"z"}}}'],
  ['an array', '[["x-y","z"]]'], ['a string', '"x"'], ['a number', '1'], ['null', 'null'], ['nothing', ''],
  ['no JSON', '{"x-y":'],
  ['a byte order mark', '\ufeff{}'],
  ['JSON with plaintext that a parser would quote', '{"x-y": hunter2}'],
  ['deep nesting', `{"x-y":${'['.repeat(5000)}${']'.repeat(5000)}}`]
]
t.test('inside, but no header object: refused, all alike, and nobody else is affected', async t => {
  const { workload, url, client, victim } = await setUp(t)
  const answers = new Set<string>()
  for (const [name, inside] of refused) {
    const json = typeof inside === 'string'
      ? inside
      : JSON.stringify({ 'polaris-response-public-key': client.responseKey, ...inside as object })
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'polaris-secure': await client.seal(json), 'polaris-response-public-key': client.responseKey },
      body: (await client.request({ body: SMUGGLED })).body
    })
    t.equal(response.status, 400, name)
    answers.add((await response.text()).replace(/"requestId":"[^"]+"/, ''))
  }
  t.equal(answers.size, 1, [...answers].join('\n'))
  t.notMatch([...answers].join(), 'hunter2')
  t.same(workload.received, [])
  t.equal(({} as Record<string, unknown>)['x-y'], undefined)
  await victim()
})

const targets = [
  '', 'x', 'http://elsewhere.example/', '//elsewhere.example/', '/a b', `/a HTTP/1.1${CRLF}${CRLF}${SMUGGLED}`, '/a\nb',
  '/a\0', '/ä', '*', '\ufeff/', '?x', '#', ' /a', '/a\t', '/\x7f'
]
t.test('inside: targets that are no path are refused, all alike', async t => {
  const { workload, url, client, victim } = await setUp(t)
  const answers = new Set<string>()
  for (const target of targets.filter(target => target !== '//elsewhere.example/')) {
    const response = await fetch(url, await client.request({ target }))
    t.equal(response.status, 400, JSON.stringify(target))
    answers.add((await response.text()).replace(/"requestId":"[^"]+"/, ''))
  }
  t.equal(answers.size, 1)
  t.same(workload.received, [])
  await victim()
})

t.test('inside: targets are forwarded byte for byte', async t => {
  const { workload, url, client } = await setUp(t)
  for (const [i, target] of [
    '//elsewhere.example/', '/a/../b', '/%zz', '/x/?', '//d//e', '/?q=1', '/a?b#c', `/${'x'.repeat(8192)}`
  ].entries()) {
    t.equal((await fetch(url, await client.request({ target }))).status, 200, target.slice(0, 30))
    t.equal(workload.received.join('').split('GET ')[i + 1]?.split(' ')[0], target.replace(/#.*/, ''))
  }
})

t.test('values that old clients did not quote are accepted', async t => {
  const { workload, url, client } = await setUp(t)
  await fetch(url, await client.request({ headers: { 'x-number': 12, 'x-true': true, 'x-latin': 'äÿ' } }))
  t.match(
    workload.received.map(bytes => bytes.toString('latin1')).join(''), /x-number: 12\r\nx-true: true\r\nx-latin: äÿ\r\n/
  )
})

t.test('nothing of the outer request but the method reaches the workload', async t => {
  const { workload, url, client } = await setUp(t)
  const { headers } = await client.request({ target: '/inside' })
  await fetch(
    `${url}/outside?secret=1`,
    { method: 'DELETE', headers: { ...headers, 'x-outside': '1', cookie: 'outside=1', authorization: 'outside' } }
  )
  t.match(workload.received.join(''), /^DELETE \/inside HTTP\/1\.1\r\n/)
  t.notMatch(workload.received.join(''), 'outside')
})
