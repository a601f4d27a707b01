/** Once a request is opened: what of it reaches the workload, and what is refused, inside. */
import { connect } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { encodeRequest } from '../../../../lib/protocols/bhttp/writer.ts'
import type { Field } from '../../../../lib/protocols/bhttp/bhttp.ts'
import { encapsulateRequest, startChunkedExchange } from '../../../../sdk/ohttp/client.ts'
import { createResponseReader } from '../../../../lib/protocols/bhttp/reader.ts'
import type { KeyConfig } from '../../../../lib/protocols/ohttp/key-config.ts'
import { encapsulate, exchange, fetchKey, requestHead } from '../../../fixtures/ohttp-client.ts'
import { isOverHttp2 } from '../../../fixtures/over-http2.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const problem = (code: string) => ({ type: `urn:polaris-secure-proxy:problem:${code}` })

/** Sends these bytes in place of a Binary HTTP request, and gives the status and body that came back inside. */
async function sendInner (url: string, config: KeyConfig, message: Uint8Array, chunked: boolean) {
  const [suite] = config.suites
  if (suite === undefined) throw new Error('no suite')
  const post = (contentType: string, body: Uint8Array<ArrayBuffer>) => fetch(
    url, { method: 'POST', headers: { 'content-type': contentType }, body }
  )
  let plaintext: Uint8Array
  if (chunked) {
    const exchange = await startChunkedExchange({ config, suite })
    const response = await post('message/ohttp-chunked-req', await exchange.seal(message))
    if (response.status !== 200) return { outer: response.status }
    plaintext = new Uint8Array(
      await new Response(response.body?.pipeThrough(exchange.openStream()) ?? null).arrayBuffer()
    )
  } else {
    const exchange = await encapsulateRequest({ config, suite }, message)
    const response = await post('message/ohttp-req', exchange.message)
    if (response.status !== 200) return { outer: response.status }
    plaintext = await exchange.open(new Uint8Array(await response.arrayBuffer()))
  }
  const reader = createResponseReader()
  const events = [...reader.push(plaintext), ...reader.end()]
  const [head] = events.flatMap(event => event.type === 'response' ? [event.head] : [])
  return {
    status: head?.status,
    body: Buffer.concat(events.flatMap(event => event.type === 'content' ? [event.bytes] : [])).toString()
  }
}

async function start (t: Test, config = {}) {
  const workload = await startWorkload(t)
  const { url, log } = await startProxy(t, { workloadBaseUrl: workload.url, ...config })
  return { workload, url, log, key: await fetchKey(url) }
}

for (const chunked of [false, true]) {
  const form = chunked ? 'chunked' : 'one-shot'

  t.test(`${form}: what is inside and no HTTP request is refused inside`, async t => {
    const { workload, url, key } = await start(t)
    const valid = Buffer.from(encodeRequest(requestHead('GET', '/path', [['x-field', 'value']])))
    const spoil = (find: string, replacement: string) => Buffer.from(
      valid.toString('latin1').replace(find, replacement), 'latin1'
    )
    const cases: [string, Uint8Array][] = [
      ['nothing', Buffer.alloc(0)],
      ['zeros', Buffer.alloc(100)],
      ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
      ['a response', Buffer.from([1, 0x40, 200, 0])],
      ['truncated', valid.subarray(0, 30)],
      ['rest behind it', Buffer.concat([valid, Buffer.from('rest')])],
      ['field name in upper case', spoil('x-field', 'X-field')],
      ['field name with a space', spoil('x-field', 'x field')],
      ['pseudo-field', spoil('x-field', ':author')],
      ['line break in a value', spoil('value', 'va\r\nx')],
      ['null in a value', spoil('value', 'va\0ue')],
      ['white space around a value', spoil('value', ' alue')],
      ['absolute-form', spoil('/path', 'http:')],
      ['space in the path', spoil('/path', '/p th')],
      ['line break in the path', spoil('/path', '/p\r\nh')],
      ['fragment', spoil('/path', '/pa#h')],
      ['method with a space', spoil('GET', 'G T')],
      ['unknown scheme', spoil('https', 'httpx')],
      ['user information in the authority', spoil('workload.example', 'a@load.example12')]
    ]
    for (const [name, message] of cases) {
      const inner = await sendInner(url, key, message, chunked)
      t.equal(inner.status, 400, name)
      t.match(JSON.parse(inner.body ?? '{}'), problem('bad-request'))
    }
    t.equal(workload.received.length, 0)
  })

  t.test(`${form}: methods and targets that cannot be forwarded are refused inside`, async t => {
    const { workload, url, key } = await start(t)
    const cases = [
      ['CONNECT', '/', 400, 'bad-request'], ['BREW', '/', 400, 'bad-request'], ['get', '/', 400, 'bad-request'],
      ['OPTIONS', '*', 400, 'bad-request'],
      ['GET', '/polaris-container/health', 404, 'not-found'], ['GET', '/x/../polaris-container/keys', 404, 'not-found'],
      ['GET', '/%70olaris-container/readyz', 404, 'not-found']
    ] as const
    for (const [method, path, status, code] of cases) {
      const inner = await exchange(url, key, requestHead(method, path), undefined, chunked)
      t.equal(inner.status, status, `${method} ${path}`)
      t.match(JSON.parse(inner.body.toString()), problem(code))
    }
    t.equal(workload.received.length, 0)
    for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY', 'PROPFIND']) {
      t.equal((await exchange(url, key, requestHead(method, '/'), Buffer.from('body'), chunked)).status, 200, method)
      t.match(workload.received.at(-1), { method, body: Buffer.from('body') })
    }
  })

  t.test(`${form}: targets arrive byte for byte`, async t => {
    const { workload, url, key } = await start(t)
    for (const path of [
      '/', '/?', '/a/../b', '//double', '/%zz', '/%C3%A4', '/x?y=/../z', '/"<>\\^`{|}',
      `/${'p'.repeat(8000)}`
    ]) {
      t.equal((await exchange(url, key, requestHead('GET', path), undefined, chunked)).status, 200)
      t.equal(workload.received.at(-1)?.url, path)
    }
  })

  t.test(`${form}: of the headers inside only what is end to end reaches the workload`, async t => {
    const { workload, url, key } = await start(t, { trustProxy: 'false' })
    const dropped: Field[] = [
      ['host', 'other.example'], ['connection', 'x-named, keep-alive'], ['x-named', '1'], ['keep-alive', 'timeout=5'],
      ['proxy-authorization', 'x'], ['proxy-connection', 'x'], ['te', 'trailers'], ['trailer', 'x-t'],
      ['upgrade', 'h2c'], ['expect', '100-continue'],
      ['transfer-encoding', 'chunked'], ['content-length', '3'], ['http2-settings', 'x'],
      ['polaris-url', 'x'], ['polaris-secure', 'x'], ['polaris-response-public-key', 'x'],
      ['x-forwarded-for', '1.2.3.4'], ['x-forwarded-host', 'x'], ['x-forwarded-proto', 'x'], ['x-forwarded-port', '1'],
      ['forwarded', 'for=x']
    ]
    const kept: Field[] = [
      ['content-type', 'text/plain'], ['authorization', 'Bearer x'], ['cookie', 'a=1'], ['x-empty', ''],
      ['cookie', 'b=2; c=3'],
      ['x-latin', 'caf\u00e9 \u00a0'], ['x-repeated', '1'], ['x-repeated', '2']
    ]
    const inner = await exchange(
      url, key, requestHead('POST', '/', [...dropped, ['accept-encoding', 'gzip, br'], ...kept]),
      Buffer.from('the body'), chunked
    )
    t.equal(inner.status, 200)
    const [received] = workload.received
    t.equal(received?.body.toString(), 'the body')
    const raw = received?.rawHeaders ?? []
    const pairs = raw.flatMap((name, i) => i % 2 === 0 ? [[name.toLowerCase(), raw[i + 1]]] : [])
    const framing = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'date'])
    const expected = kept.flatMap(
      ([name, value]) => value === 'a=1' ? [[name, 'a=1; b=2; c=3']] : name === 'cookie' ? [] : [[name, value]]
    )
    t.strictSame(pairs.filter(([name]) => !framing.has(name as string)), [...expected, ['accept-encoding', 'identity']])
    t.match(received?.headers, { host: new URL(workload.url).host, connection: 'keep-alive', 'content-length': '8' })
  })

  t.test(`${form}: the authority inside is ignored, but where a list allows some`, async t => {
    const open = await start(t)
    for (const authority of ['', 'anything.example', 'anything.example:99']) {
      t.equal(
        (await exchange(open.url, open.key, { ...requestHead('GET', '/'), authority }, undefined, chunked)).status, 200
      )
    }
    const { workload, url, key } = await start(t, { ohttpAllowedAuthorities: 'api.example, Other.example:8443' })
    const cases = [
      ['api.example', [], 200], ['API.Example', [], 200], ['other.example:8443', [], 200],
      ['', [['host', 'api.example']], 200], ['', [['host', 'evil.example']], 421], ['', [], 421],
      ['evil.example', [], 421], ['other.example', [], 421], ['api.example:8443', [], 421], ['api.example.', [], 421],
      ['evil.example', [['host', 'api.example']], 421], ['api.example', [['host', 'evil.example']], 200]
    ] as const
    for (const [authority, headers, status] of cases) {
      const inner = await exchange(
        url, key, { ...requestHead('GET', '/', headers as unknown as Field[]), authority }, undefined, chunked
      )
      t.equal(inner.status, status, `${authority} ${JSON.stringify(headers)}`)
      if (status === 421) t.match(JSON.parse(inner.body.toString()), problem('misdirected'))
    }
    t.equal(workload.received.length, cases.filter(([, , status]) => status === 200).length)
  })
}

t.test('the requests of one connection are as separate as those of several', {
  skip: isOverHttp2 && 'it is about HTTP/1.1'
}, async t => {
  const { workload, url, key } = await start(t)
  const { port, hostname } = new URL(url)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  const requests = await Promise.all(
    [1, 2, 3].map(n => encapsulate(key, requestHead('POST', `/${n}`), Buffer.from(`${n}`)))
  )
  // Pipelined: all before any answer.
  for (const { contentType, message } of requests) {
    socket.write(
      `POST / HTTP/1.1\r\nhost: x\r\ncontent-type: ${contentType}\r\ncontent-length: ${message.length}\r\n\r\n`
    )
    socket.write(message)
  }
  while (workload.received.length < 3) await new Promise(resolve => setTimeout(resolve, 10))
  t.strictSame(
    workload.received.map(({ url, body }) => [url, body.toString()]), [['/1', '1'], ['/2', '2'], ['/3', '3']]
  )
})
