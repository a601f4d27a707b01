/**
 * Whatever octets clients and workloads send: the process lives, every answer is well-formed, none is somebody else's,
 * and nothing is told or logged of what was sent. What this has found has tests of its own.
 */
import type { Socket } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { createPolarisFetch } from '../../../sdk/index.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import type { Proxy } from '../../fixtures/proxy.ts'
import { rawClient, startRawWorkload } from '../../fixtures/raw.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const SECRET = 'hunter2'
const modes: Array<[string, ConfigInput]> = [
  ['in clear', {}],
  ['input encrypted', { enableInputEncryption: true }],
  ['output encrypted', { enableOutputEncryption: true }],
  ['both encrypted', { enableInputEncryption: true, enableOutputEncryption: true }]
]

async function lives (t: Test, { url, log }: Proxy): Promise<void> {
  t.equal((await fetch(`${url}/polaris-container/livez`)).status, 200)
  t.notMatch(log.join(''), new RegExp(`${SECRET}|internal error|"level":[56]0`))
}

/** Octets that are changed, cut off, or neither. */
function mangled (text: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  const whole = text.map(text => Buffer.from(text, 'latin1'))
  return fc.oneof(
    { weight: 3, arbitrary: whole },
    {
      weight: 1,
      arbitrary: fc.tuple(whole, fc.nat(), fc.nat(255)).map(
        ([octets, at, octet]) => Buffer.from(octets).fill(octet, at % octets.length, at % octets.length + 1)
      )
    },
    {
      weight: 1,
      arbitrary: fc.tuple(whole, fc.nat()).map(([octets, end]) => octets.subarray(0, end % (octets.length + 1)))
    }
  )
}

const bodies = fc.constantFrom(
  '', SECRET, `7\r\n${SECRET}\r\n0\r\n\r\n`, `7;${'e'.repeat(20_000)}\r\n${SECRET}\r\n0\r\n\r\n`,
  `7\r\n${SECRET}\r\n0\r\nx: y\r\n\r\n`, `-7\r\n${SECRET}`,
  ...[brotliCompressSync, gzipSync].flatMap(
    compress => ['', SECRET].map(junk => compress(SECRET).toString('latin1') + junk)
  ),
  `ffffffffffffffff\r\n${SECRET}`, `7\n${SECRET}\n0\n\n`, `7\r\n${SECRET}`, 'z'.repeat(100_000), '\x00\x00\x00\x02{}',
  '\x00\x00\x40\x00{'
)
const framing = [
  'content-length: 7', 'content-length: 7', 'transfer-encoding: chunked', 'transfer-encoding: chunked',
  'content-length: 70', 'content-length: 0', 'content-length: 7, 7', 'content-length: -1',
  'content-length: 99999999999999999999', 'transfer-encoding: gzip, chunked', 'transfer-encoding: chunked, identity',
  'transfer-encoding:\x0bchunked', 'content-length : 7', 'trailer: x', 'te: trailers'
]
const fields = [
  'x: \x00', 'x: \xff', 'x: a\r b', 'x: a\r\n folded', ': x', 'x', 'x y: z', '__proto__: x', 'constructor: x',
  `x: ${'y'.repeat(40_000)}`, `${'x'.repeat(40_000)}: y`, 'x: y\r\n'.repeat(1500) + 'x: y', 'connection: close',
  'connection: host, content-length', 'upgrade: websocket\r\nconnection: upgrade', 'keep-alive: timeout=-1', 'date: x'
]

/** Some lines of a header, and a body that they frame, more often than not. */
function message (start: fc.Arbitrary<string>, others: readonly string[]): fc.Arbitrary<string> {
  const framed = fc.constantFrom<readonly [string[], string]>(
    [['content-length: 7'], SECRET], [['transfer-encoding: chunked'], `7\r\n${SECRET}\r\n0\r\n\r\n`],
    [['content-length: 0'], '']
  )
  const loose = fc.tuple(fc.array(fc.constantFrom(...framing), { maxLength: 2 }), bodies)
  return fc.tuple(
    start, fc.oneof({ weight: 2, arbitrary: framed }, { weight: 1, arbitrary: loose }),
    fc.subarray([...others], { maxLength: 2 })
  ).map(([start, [lines, body], more]) => {
    const head = [start, ...lines, ...more].map(line => `${line}\r\n`).join('')
    return `${head}\r\n${body}`
  })
}

const requestFields = [
  ...fields, 'host: y', 'expect: 100-continue', 'expect: x', 'content-type: message/ohttp-req',
  'content-type: message/ohttp-chunked-req', 'polaris-url: AAAA', `polaris-secure: ${'A'.repeat(500)}`,
  'polaris-secure: A\r\npolaris-secure: B', 'polaris-response-public-key: AAAA', 'origin: https://x.example',
  'access-control-request-method: PUT'
]
const requestLines = fc.tuple(
  fc.constantFrom('POST', 'POST', 'PUT', 'QUERY', 'DELETE', 'OPTIONS', 'TRACE', 'GET', 'HEAD', 'CONNECT', 'BREW', ''),
  fc.oneof(fc.constant(`/${SECRET}`), fc.constantFrom(
    `/${SECRET} `, '*', '', `http://x/${SECRET}`, '/\xff', '/\x00', '/polaris-container/../x',
    '/polaris-container/attestation', '/.well-known/ohttp-gateway', `/${'x'.repeat(70_000)}`
  )),
  fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', '')
).map(([method, target, version]) => `${method} ${target} ${version}\r\nhost: x`)
const requests = fc.array(mangled(message(requestLines, requestFields)), { minLength: 1, maxLength: 3 })

for (const [mode, config] of modes) {
  t.test(`hostile clients, ${mode}`, async t => {
    const workload = await startWorkload(t, (request, response) => {
      request.resume().on('error', () => request.destroy()).on(
        'end', () => { response.writeHead(200, { 'x-workload': 'x' }).end() }
      )
    })
    const proxy = await startProxy(
      t, { workloadBaseUrl: workload.url, clientIdleTimeout: '100ms', workloadHeadersTimeout: '1s', ...config }
    )
    await fc.assert(fc.asyncProperty(requests, async requests => {
      const client = await rawClient(t, proxy.port)
      for (const request of requests) client.send(request)
      // Ends the connection, unless it is taken for the rest of what came before.
      client.socket.setTimeout(250, () => client.socket.destroy())
      client.send('GET /polaris-container/livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
      const [before, ...responses] = (await client.end).split(/^(?=HTTP\/1\.1 )|(?<=[\n}])(?=HTTP\/1\.1 \d{3} )/)
      for (const response of [before ?? '', ...responses]) {
        if (response === '') continue
        const [head = '', body = ''] = response.split(/\r\n\r\n(.*)/s)
        if (!/^HTTP\/1\.1 \d{3} [\w ]+(\r\n[\w-]+: [ -~]*)*$/.test(head)) throw new Error(`malformed: ${head}`)
        if (/application\/problem\+json/.test(head) && body !== '') {
          const { type, requestId, ...rest } = JSON.parse(body) as Record<string, unknown>
          if (JSON.stringify(rest).includes(SECRET) || type === undefined || requestId === undefined) {
            throw new Error(`no problem: ${body}`)
          }
        } else if (!/x-workload|^HTTP\/1\.1 (100|2\d\d|431)|problem/.test(head)) {
          throw new Error(`neither the workload's nor a problem: ${response}`)
        }
      }
    }), { numRuns: 80 })
    await lives(t, proxy)
  })
}

const responseFields = [
  ...fields, 'content-encoding: gzip', 'content-encoding: br', 'content-encoding: deflate', 'content-encoding: x',
  'set-cookie: a\r\nset-cookie: b', 'vary: *', 'content-type: text/event-stream', 'content-type: application/json',
  'location: \xff'
]
const responses = fc.record({
  octets: mangled(message(fc.tuple(
    fc.constantFrom('', '', '', 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(50)),
    fc.constantFrom(
      '200 OK', '200 OK', '200 OK', '200', '204 x', '205 x', '304 x', '101 x', '100 x', '199 x', '000 x', '600 x',
      `500 ${SECRET}`, '200 \xff\x01', '301 x'
    )
  ).map(([before, status]) => `${before}HTTP/1.1 ${status}`), responseFields)),
  finish: fc.oneof(
    {
      weight: 30,
      arbitrary: fc.constantFrom<(socket: Socket) => void>(socket => socket.end(), socket => socket.resetAndDestroy())
    },
    // Silence takes until the timeout.
    { weight: 1, arbitrary: fc.constant(() => undefined) }
  ),
  way: fc.constantFrom<'legacy or clear' | 'OHTTP'>('legacy or clear', 'OHTTP'),
  method: fc.constantFrom('GET', 'POST', 'HEAD')
})

for (const [mode, config] of modes) {
  t.test(`hostile workloads, ${mode}`, async t => {
    let answer: (socket: Socket) => void = () => undefined
    const workload = await startRawWorkload(t, socket => answer(socket))
    const proxy = await startProxy(t, {
      workloadBaseUrl: workload.url,
      workloadHeadersTimeout: '100ms',
      workloadIdleTimeout: '100ms',
      // One v1 request is sent again and again.
      v1ReplayProtection: false,
      ...config
    })
    const client = await v1Client(proxy.url)
    const encrypted = createPolarisFetch({ baseURL: proxy.url })
    const request = await client.request({ target: '/x', sealedResponse: config.enableOutputEncryption === true })
    const direct = config.enableInputEncryption
      ? request.headers
      : { 'polaris-response-public-key': client.responseKey }

    const reached = { OHTTP: 0, 'legacy or clear': 0 }
    await fc.assert(fc.asyncProperty(responses, async ({ octets, finish, way, method }) => {
      answer = socket => {
        reached[way]++
        socket.write(octets)
        finish(socket)
      }
      const sent = way === 'OHTTP'
        ? encrypted('/x', { method, redirect: 'manual' })
        : fetch(proxy.url, { method, headers: direct, redirect: 'manual' })
      // What broke off after its headers is an error for the client, too.
      const text = await sent.then(
        async response => [response.status, response.headers.get('content-type'), await response.text()] as const
      ).catch(() => undefined)
      if (text === undefined) return
      const [status, type, body] = text
      if (status < 200 || status > 599) throw new Error(`status ${status}`)
      if (type === 'application/problem+json' && body.includes(SECRET)) {
        throw new Error(`a problem tells too much: ${body}`)
      }
      if (way !== 'OHTTP' && config.enableOutputEncryption && body.includes(SECRET)) {
        throw new Error(`in clear: ${body}`)
      }
    }), { numRuns: 60 })
    t.ok(reached.OHTTP > 0 && reached['legacy or clear'] > 0, `the workload was asked: ${JSON.stringify(reached)}`)
    await lives(t, proxy)
  })
}
