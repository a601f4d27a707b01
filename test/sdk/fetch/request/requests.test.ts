/**
 * What reaches the workload is the request that was made: method, path, headers. And only what belongs to the proxy.
 */
import t from 'tap'
import { Request as ForeignRequest } from 'undici'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const workload = await startWorkload(t)

t.test('URLs below the base reach the workload as if it were called directly', async t => {
  for (const contextRoot of ['', '/confidential/ai']) {
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true, contextRoot })
    const baseURL = proxy.url + contextRoot
    const cases: [input: string | URL | Request, path: string][] = [
      [baseURL, '/'],
      [`${baseURL}/`, '/'],
      [`${baseURL}?q=1`, '/?q=1'],
      [`${baseURL}/users?x=1&y=%zz#fragment`, '/users?x=1&y=%zz'],
      [`${baseURL}//double//slash`, '//double//slash'],
      [`${baseURL}/%2e%2e%2fetc/ü`, '/%2e%2e%2fetc/%C3%BC'],
      [new URL(`${baseURL}/url`), '/url'],
      [new Request(`${baseURL}/request?`), '/request?'],
      ['/users', '/users'],
      ['users?q', '/users?q'],
      ['?q', '/?q'],
      ['', '/'],
      ['../../up', '/up']
    ]
    for (const base of [baseURL, `${baseURL}/`, new URL(baseURL)]) {
      const polarisFetch = createPolarisFetch({ baseURL: base })
      for (const [input, path] of cases) {
        const response = await polarisFetch(input instanceof Request ? input.clone() : input)
        t.equal(
          ((await response.json()) as { url: string }).url, path,
          `${input instanceof Request ? input.url : input} below ${base}`
        )
        t.equal(response.url, baseURL + path)
      }
    }
  }
})

t.test('nothing is sent elsewhere', async t => {
  const calls: unknown[] = []
  const polarisFetch = createPolarisFetch(
    { baseURL: 'https://proxy.example/base', fetch: async url => { calls.push(url); return new Response() } }
  )
  const elsewhere = [
    'https://other.example/base/', 'http://proxy.example/base/', 'https://proxy.example:444/base/',
    'https://proxy.example/', 'https://proxy.example/basement',
    'https://proxy.example/base/../x', 'https://proxy.example/base/%2e%2e/x', '//other.example/base', 'file:///base',
    'data:text/plain,x', 'https:\\\\other.example/base'
  ]
  for (const url of elsewhere) {
    await t.rejects(
      polarisFetch(url, { method: 'POST', body: 'secret' }),
      { code: 'ERR_POLARIS_OTHER_ORIGIN', message: /not below https:\/\/proxy\.example\/base,.*platform's fetch/ }, url
    )
  }
  await t.rejects(
    polarisFetch('https://user:secret@proxy.example/base/'),
    { code: 'ERR_POLARIS_UNSUPPORTED_REQUEST', message: /Authorization/ }
  )
  await t.rejects(
    polarisFetch('/', { integrity: 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' }),
    { code: 'ERR_POLARIS_UNSUPPORTED_REQUEST' }
  )
  t.strictSame(calls, [])
})

t.test('another library\'s Request is refused, as the platform\'s fetch refuses it', async t => {
  const calls: unknown[] = []
  const polarisFetch = createPolarisFetch(
    { baseURL: 'https://proxy.example', fetch: async url => { calls.push(url); return new Response() } }
  )
  await t.rejects(polarisFetch(new ForeignRequest('https://proxy.example/x') as unknown as Request), TypeError)
  t.strictSame(calls, [])
})

t.test('options that are wrong are refused at once', async t => {
  const baseURL = 'https://proxy.example'
  for (const wrong of [
    'ftp://proxy.example', 'proxy.example', 'https://u:p@proxy.example', 'https://proxy.example?x',
    'https://proxy.example/#x', ''
  ]) {
    t.throws(() => createPolarisFetch({ baseURL: wrong }), TypeError, wrong)
  }
  t.throws(() => createPolarisFetch({ baseURL, protocol: 'none' as 'ohttp' }), TypeError)
  t.throws(() => createPolarisFetch({ baseURL, postQuantum: 'yes' as 'never' }), TypeError)
  t.throws(() => createPolarisFetch({ baseURL, protocol: 'polaris-v1', postQuantum: 'require' }), TypeError)
  t.throws(() => createPolarisFetch({ baseURL, gatewayPath: 'gateway' }), TypeError)
})

t.test('headers arrive, but for those of the connection', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url })
  await polarisFetch('/', {
    headers: [
      ['Authorization', 'Bearer secret'], ['Cookie', 'a=1; b=2'], ['X-Twice', '1'], ['x-twice', '2'],
      ['x-latin', 'gr\xfc\xdfe'], ['x-empty', ''],
      ['accept', 'text/event-stream'], ['connection', 'x-hop'], ['x-hop', 'end'], ['keep-alive', '1'],
      ['host', 'evil.example'], ['transfer-encoding', 'chunked'],
      ['te', 'trailers'], ['upgrade', 'h2c'], ['expect', '100-continue'], ['date', 'Thu, 01 Jan 1970 00:00:00 GMT']
    ]
  })
  const received = workload.received.at(-1)
  t.match(received?.headers, {
    authorization: 'Bearer secret',
    cookie: 'a=1; b=2',
    'x-twice': '1, 2',
    'x-latin': 'gr\xfc\xdfe',
    'x-empty': '',
    accept: 'text/event-stream',
    host: new URL(workload.url).host,
    'keep-alive': undefined,
    te: undefined,
    upgrade: undefined,
    expect: undefined,
    'transfer-encoding': undefined
  })
  t.ok(Math.abs(Date.parse(received?.headers.date ?? '') - Date.now()) < 60_000, 'the Date is the time of the request')
  await polarisFetch('/')
  t.equal(workload.received.at(-1)?.headers.accept, '*/*', 'as fetch does')
  await t.rejects(
    polarisFetch('/', { headers: { 'x-control': 'a\x01b' } }), { code: 'ERR_POLARIS_UNSUPPORTED_REQUEST' }
  )
  for (const [path, headers] of [['/', { x: 'y'.repeat(40_000) }], [`/${'p'.repeat(20_000)}`, {}]] as const) {
    await t.rejects(
      polarisFetch(path, { headers }), { code: 'ERR_POLARIS_UNSUPPORTED_REQUEST', message: /over the limit/ },
      'what the proxy would not read is not sent'
    )
  }
})

t.test('the authority inside is the one of the base', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ohttpAllowedAuthorities: 'api.example' })
  const underlying: typeof fetch = (input, init) => fetch(String(input).replace('https://api.example', proxy.url), init)
  t.equal((await createPolarisFetch({ baseURL: 'https://api.example', fetch: underlying })('/')).status, 200)
  t.equal((await createPolarisFetch({ baseURL: proxy.url })('/')).status, 421)
})
