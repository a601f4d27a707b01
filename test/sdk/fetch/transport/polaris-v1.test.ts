/** The fetch over the legacy protocol, for proxies that speak nothing newer: the same signature, with its limits. */
import t from 'tap'
import { createEphemeralProvider } from '../../../../lib/platforms/local/ephemeral-keys.ts'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startMeddler } from '../../../fixtures/meddler.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { NodeKeyHandler } from '../../../fixtures/sdk-client.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const workload = await startWorkload(t)
const config = {
  workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true, enableOhttp: false
}
const proxy = await startProxy(t, config)
const v1 = { protocol: 'polaris-v1', keyHandler: new NodeKeyHandler() } as const
const polarisFetch = createPolarisFetch({ baseURL: proxy.url, ...v1 })

t.test('requests and responses are as with the other protocol', async t => {
  const form = new FormData()
  form.append('field', 'value')
  for (const [body, content] of [
    ['grüße', /^grüße$/], [new URLSearchParams('a=1'), /^a=1$/], [new Blob(['b']), /^b$/], [form, /value/],
    [ReadableStream.from([Buffer.from('st'), Buffer.from('ream')]), /^stream$/]
  ] as const) {
    const response = await polarisFetch(
      '/things?q=1', { method: 'PUT', body, duplex: 'half', headers: { 'x-own': 'yes', authorization: 'Bearer x' } }
    )
    t.match(response, { status: 200, url: `${proxy.url}/things?q=1` })
    const text = await response.text()
    t.equal(response.headers.get('content-length'), String(Buffer.byteLength(text)))
    const seen = JSON.parse(text)
    t.match(seen, { method: 'PUT', url: '/things?q=1' })
    t.match(seen.headers, { 'x-own': 'yes', authorization: 'Bearer x' })
    t.match(Buffer.from(seen.body, 'base64').toString(), content)
  }
  t.equal((await polarisFetch('/', { method: 'HEAD' })).body, null)
})

t.test('redirects are followed', async t => {
  const redirecting = await startWorkload(t, (request, response) => {
    if (request.url === '/there') response.end('arrived')
    else response.writeHead(302, { location: '/there' }).end()
  })
  const { url } = await startProxy(t, { ...config, workloadBaseUrl: redirecting.url })
  const response = await createPolarisFetch({ baseURL: url, ...v1 })('/', { method: 'POST', body: 'x' })
  t.match(response, { redirected: true, url: `${url}/there` })
  t.equal(await response.text(), 'arrived')
})

t.test('a proxy with a new key is told from other refusals', async t => {
  const other = await startProxy(
    t, { ...config, workloadBaseUrl: workload.url }, { keyProvider: createEphemeralProvider({ modulusLength: 2048 }) }
  )
  let current = proxy.url
  const underlying: typeof fetch = (input, init) => fetch(String(input).replace('http://proxy.example', current), init)
  const moving = createPolarisFetch({ baseURL: 'http://proxy.example', fetch: underlying, ...v1 })
  await moving('/')
  current = other.url
  await t.rejects(moving('/'), { code: 'ERR_POLARIS_KEY_REFUSED', message: /send it again/ })
  t.equal((await moving('/')).status, 200)
})

t.test('errors in front of the proxy, and responses that are not sealed, are not taken for the ' +
  'workload\'s', async t => {
  const answering = (answer: () => Response): typeof fetch => (input, init) => init?.method === 'POST'
    ? Promise.resolve(answer())
    : fetch(input, init)
  for (const [answer, code] of [
    [() => new Response('<html>', { status: 502 }), 'ERR_POLARIS_REFUSED'],
    [() => new Response(
      '{"type":"x","title":"No"}', { status: 400, headers: { 'content-type': 'application/problem+json' } }
    ), 'ERR_POLARIS_REFUSED'],
    [() => new Response('not sealed'), 'ERR_POLARIS_RESPONSE'],
    [() => { throw new TypeError('fetch failed') }, 'ERR_POLARIS_CONNECTION']
  ] as const) {
    await t.rejects(
      createPolarisFetch({ baseURL: proxy.url, fetch: answering(answer), ...v1 })('/', { method: 'POST', body: 'x' }),
      { code }
    )
  }
  const meddler = await startMeddler(t, proxy.url)
  const observed = createPolarisFetch({ baseURL: meddler.url, ...v1 })
  await observed('/secret-path', { headers: { authorization: 'secret-token' } })
  t.notMatch(meddler.seen().toString('latin1'), /secret-path|secret-token/)
  meddler.cutAt(400)
  await t.rejects(observed('/'), { code: 'ERR_POLARIS_INCOMPLETE' })
})

t.test('aborted, it ends with the signal\'s reason', async t => {
  const silent = await startWorkload(t, () => undefined)
  const { url } = await startProxy(t, { ...config, workloadBaseUrl: silent.url })
  await t.rejects(
    createPolarisFetch({ baseURL: url, ...v1 })('/', { signal: AbortSignal.timeout(200) }), { name: 'TimeoutError' }
  )
})
