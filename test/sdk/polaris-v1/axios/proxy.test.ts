/** The client and the proxy, with nothing between them but a wire that is looked at. */
import type { AxiosResponse } from 'axios'
import t from 'tap'
import type { ExchangeError } from '../../../../sdk/index.ts'
import { startAnsweringWorkload } from '../../../fixtures/answering-workload.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { createClient } from '../../../fixtures/sdk-client.ts'
import { startWire } from '../../../fixtures/wire.ts'

const octets = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i * 7))
const workload = await startAnsweringWorkload((received, response) => {
  const { method, url, headers, body } = received
  if (url === '/octets') return response.setHeader('content-type', 'image/png').end(octets)
  if (url === '/missing') {
    return response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"no such item"}')
  }
  if (url === '/failing') return response.writeHead(500, { 'content-type': 'text/plain' }).end('out of order')
  if (url === '/none') return response.writeHead(204).end()
  if (url === '/moved') return response.writeHead(302, { location: '/elsewhere' }).end()
  return response.setHeader('content-type', 'application/json').end(
    JSON.stringify({ method, url, headers, body: body.toString('base64') })
  )
})
t.teardown(() => workload.close())
const both = { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true }

t.test('requests and responses cross as if there were no proxy, and nobody on the wire reads them', async t => {
  const proxy = await startProxy(t, both)
  const wire = await startWire(proxy.url)
  t.teardown(() => wire.close())
  const client = createClient({ baseURL: wire.url })

  const { data } = await client.post('/secret-path?a=1', { field: 'secret-body' }, {
    params: { 'secret-param': 'ü' },
    headers: {
      Authorization: 'Bearer secret-token',
      Cookie: 'c=secret-cookie',
      'X-Custom': 'secret-custom',
      'X-Long': 'secret-long'.repeat(1000)
    }
  })
  t.match(data, {
    method: 'POST',
    url: '/secret-path?a=1&secret-param=%C3%BC',
    body: Buffer.from('{"field":"secret-body"}').toString('base64'),
    headers: {
      authorization: 'Bearer secret-token',
      cookie: 'c=secret-cookie',
      'x-custom': 'secret-custom',
      'content-type': 'application/json',
      'accept-encoding': 'identity'
    }
  })
  t.notMatch(wire.sent().toString('latin1'), /secret-(path|body|param|token|cookie|custom|long)/)
  t.notMatch(wire.received().toString('latin1'), /secret-(path|body|param|token|cookie|custom|long)/)

  for (const [method, url] of [
    ['GET', '/'], ['GET', '/a%2Fb?'], ['DELETE', '/items/1'], ['PUT', '/'], ['OPTIONS', '/x'], ['HEAD', '/']
  ] as const) {
    t.equal((await client.request({ method, url })).status, 200, `${method} ${url}`)
    t.match(workload.last(), { method, url: url.replace(/\?$/, '') })
  }
  t.equal((await client.get('/none')).status, 204)

  const form = new FormData()
  form.append('file', new Blob([octets], { type: 'image/png' }), 'pixel.png')
  await client.post('/upload', form)
  t.ok(workload.last().body.includes(octets))
  t.ok(octets.equals((await client.get('/octets', { responseType: 'arraybuffer' })).data))
  t.match((await client.get('/polaris-container/health')).data, { status: 'ok' })
})

t.test('errors of the workload are opened, errors of the proxy are told from them', async t => {
  const proxy = await startProxy(t, { ...both, maxBodyBytes: 1000 })
  const client = createClient({ baseURL: proxy.url })
  t.match(
    await failure(client.get('/missing')),
    { name: 'AxiosError', code: 'ERR_BAD_REQUEST', status: 404, response: { data: { error: 'no such item' } } }
  )
  t.match(
    await failure(client.get('/failing')),
    { name: 'AxiosError', code: 'ERR_BAD_RESPONSE', status: 500, response: { data: 'out of order' } }
  )
  const moved = await failure(client.get('/moved'))
  t.equal((moved.response as AxiosResponse).headers.location, '/elsewhere')
  t.match(
    await failure(client.post('/x', 'x'.repeat(2000))),
    { name: 'ProxyError', code: 'ERR_POLARIS_PROXY', status: 413, response: { data: { title: 'Body too large' } } }
  )

  const down = await startProxy(t, { ...both, workloadBaseUrl: 'http://127.0.0.1:1' })
  t.match(
    await failure(createClient({ baseURL: down.url }).get('/x')),
    { name: 'ProxyError', status: 502, response: { data: { title: 'Workload unreachable' } } }
  )
})

t.test('a key that the proxy no longer has is replaced, once the client was told', async t => {
  const [before, now] = [await startProxy(t, both), await startProxy(t, both)]
  const published = (url: string) => fetch(`${url}/polaris-container/publicKey`)
  let asked = 0
  const client = createClient({ baseURL: now.url }, { fetch: () => published(asked++ === 0 ? before.url : now.url) })
  t.match(
    await failure(client.get('/x')),
    { code: 'ERR_POLARIS_PUBLIC_KEY_CHANGED', status: 400, response: { data: { title: 'Cannot open' } } }
  )
  t.equal((await client.get('/x')).data.url, '/x')
  t.equal(asked, 2)
})

t.test('each direction can be left in clear', async t => {
  const input = await startProxy(t, { ...both, enableOutputEncryption: false })
  t.equal((await createClient({ baseURL: input.url }, { enableOutputEncryption: false }).get('/in')).data.url, '/in')
  const output = await startProxy(t, { ...both, enableInputEncryption: false })
  t.equal(
    (await createClient({ baseURL: output.url }, { enableInputEncryption: false }).get('/out?a=1')).data.url, '/out?a=1'
  )
  t.match(await failure(createClient({ baseURL: input.url }).get('/in')), { code: 'ERR_POLARIS_RESPONSE', status: 200 })
})

t.test('a proxy below a path and with header names of its own is reached', async t => {
  const proxy = await startProxy(
    t,
    { ...both, contextRoot: '/mounted', urlHeader: 'x-url', secureHeader: 'x-secure', responsePublicKeyHeader: 'x-key' }
  )
  const client = createClient({ baseURL: proxy.url }, {
    polarisProxyBasePath: 'mounted',
    headerNames: { url: 'x-url', headers: 'x-secure', responsePublicKey: 'x-key' }
  })
  const { data } = await client.get('/items?x=1')
  t.equal(data.url, '/items?x=1')
  t.equal(data.headers['x-url'], undefined, 'the proxy\'s own headers do not reach the workload')
  t.match((await client.get('/mounted/polaris-container/health')).data, { status: 'ok' })
})

function failure (request: Promise<unknown>): Promise<ExchangeError> {
  return request.then(() => { throw new Error('The request succeeded') }, (error: ExchangeError) => error)
}
