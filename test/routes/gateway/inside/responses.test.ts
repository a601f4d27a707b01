/** Once a request is opened, every answer to it is inside: the workload's responses, and its failures. */
import t from 'tap'
import { encapsulate, exchange, fetchKey, requestHead, send } from '../../../fixtures/ohttp-client.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startRawWorkload } from '../../../fixtures/raw.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const problem = (code: string) => ({ type: `urn:polaris-secure-proxy:problem:${code}` })

for (const chunked of [false, true]) {
  const form = chunked ? 'chunked' : 'one-shot'

  t.test(`${form}: of the workload's headers only what is end to end comes back`, async t => {
    const workload = await startRawWorkload(t, socket => {
      socket.end([
        'HTTP/1.1 201 Created', 'Content-Type: text/plain', 'Set-Cookie: a=1; Path=/', 'Set-Cookie: b=2',
        'X-Latin: caf\xe9\xa0', 'X-Empty:',
        'Connection: close, x-named', 'X-Named: 1', 'Keep-Alive: timeout=5', 'Proxy-Authenticate: x', 'Trailer: x-t',
        'Upgrade: h2c',
        'Content-Length: 5', '', 'hello'
      ].join('\r\n'), 'latin1')
    })
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const request = await encapsulate(await fetchKey(url), requestHead('GET', '/'), undefined, { chunked })
    const response = await send(url, request)
    t.notOk(response.headers.get('set-cookie') ?? response.headers.get('x-latin'), 'nothing of it is outside')
    const inner = await request.open(response)
    t.equal(inner.status, 201)
    t.equal(inner.body.toString(), 'hello')
    t.strictSame(inner.fields, [
      ['content-type', 'text/plain'], ['set-cookie', 'a=1; Path=/'], ['set-cookie', 'b=2'],
      ['x-latin', 'caf\u00e9\u00a0'], ['x-empty', ''], ['content-length', '5']
    ])
  })

  t.test(`${form}: responses without a body have none, and keep what they say about one`, async t => {
    const workload = await startWorkload(t, (request, response) => {
      request.resume()
      const status = Number(request.url?.slice(1))
      response.writeHead(status, { etag: '"x"', ...request.method === 'HEAD' && { 'content-length': '1234' } }).end()
    })
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const key = await fetchKey(url)
    for (const [method, status] of [
      ['HEAD', 200], ['GET', 204], ['GET', 304], ['HEAD', 404], ['POST', 204], ['DELETE', 205]
    ] as const) {
      const inner = await exchange(url, key, requestHead(method, `/${status}`), undefined, chunked)
      t.equal(inner.status, status)
      t.equal(inner.body.length, 0)
      t.equal(inner.headers.get('etag'), '"x"')
      if (method === 'HEAD') t.equal(inner.headers.get('content-length'), '1234')
    }
  })

  t.test(`${form}: statuses from 200 to 599 come back as they are, redirects and errors among them`, async t => {
    const workload = await startWorkload(t, (request, response) => {
      response.writeHead(Number(request.url?.slice(1)), { location: '/elsewhere' }).end('body')
    })
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const key = await fetchKey(url)
    for (const status of [200, 206, 299, 301, 307, 400, 401, 404, 418, 500, 502, 503, 599]) {
      const inner = await exchange(url, key, requestHead('GET', `/${status}`), undefined, chunked)
      t.strictSame([inner.status, inner.body.toString(), inner.headers.get('location')], [status, 'body', '/elsewhere'])
    }
  })

  t.test(`${form}: a workload that fails before its headers is told inside, without its address`, async t => {
    const answering = (text: string) => startRawWorkload(t, socket => { socket.end(text, 'latin1') })
    const closing = await startRawWorkload(t, socket => { socket.destroy() })
    const hanging = await startRawWorkload(t, () => undefined)
    const cases: [string, string, number, string][] = [
      ['down', 'http://127.0.0.1:9', 502, 'upstream-unreachable'],
      ['closes', closing.url, 502, 'upstream-unreachable'],
      ['hangs', hanging.url, 504, 'upstream-timeout'],
      ['garbage', (await answering('SSH-2.0-OpenSSH_9.2\r\n')).url, 502, 'upstream-invalid'],
      [
        'status out of range', (await answering('HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n')).url, 502,
        'upstream-invalid'
      ],
      [
        'a protocol that nobody asked for',
        (await answering('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')).url, 502,
        'upstream-unreachable'
      ],
      [
        'status below 100', (await answering('HTTP/1.1 099 X\r\ncontent-length: 0\r\n\r\n')).url, 502,
        'upstream-unreachable'
      ],
      [
        'control character in a header',
        (await answering('HTTP/1.1 200 OK\r\nx: a\x01b\r\ncontent-length: 0\r\n\r\n')).url, 502, 'upstream-invalid'
      ],
      [
        'more headers than clients read',
        (await answering(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(200)}content-length: 0\r\n\r\n`)).url, 502,
        'upstream-invalid'
      ],
      [
        'a header longer than clients read',
        (await answering(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(32 * 1024 + 1)}\r\ncontent-length: 0\r\n\r\n`)).url, 502,
        'upstream-invalid'
      ],
      [
        'headers without end',
        (await answering(`HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(100)}\r\n`)).url, 502,
        'upstream-invalid'
      ]
    ]
    for (const [name, workloadBaseUrl, status, code] of cases) {
      const { url, log } = await startProxy(t, { workloadBaseUrl, workloadHeadersTimeout: '300ms' })
      const inner = await exchange(url, await fetchKey(url), requestHead('POST', '/'), Buffer.from('x'), chunked)
      t.equal(inner.status, status, name)
      t.equal(inner.headers.get('content-type'), 'application/problem+json')
      t.match(JSON.parse(inner.body.toString()), problem(code), name)
      t.notOk(inner.body.includes('127.0.0.1'))
      t.notOk(log.some(line => line.includes('"level":50')), name)
    }
  })
}
