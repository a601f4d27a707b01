/** The axios interceptors, requests: what arrives, and that nothing encrypted is also sent unencrypted. */
import { createPrivateKey } from 'node:crypto'
import axios from 'axios'
import t from 'tap'
import { createAxiosRequestInterceptor, PolarisSDK } from '../../../../sdk/index.ts'
import { createClient, NodeKeyHandler } from '../../../fixtures/sdk-client.ts'
import { openV1, startV1Gateway } from '../../../fixtures/v1-gateway.ts'
import { ABSENT, loadVectors } from '../../../fixtures/vectors.ts'
import type { PolarisV1Vectors } from '../../../fixtures/vectors.ts'
import { startWire } from '../../../fixtures/wire.ts'
import { startAnsweringWorkload } from '../../../fixtures/answering-workload.ts'

const vectors = loadVectors<PolarisV1Vectors>('polaris-v1.json')
const workload = await startAnsweringWorkload()
t.teardown(() => workload.close())

t.test('nothing that is encrypted is also sent in clear', async t => {
  const gateway = await startV1Gateway({ workload: workload.url })
  const wire = await startWire(gateway.url)
  t.teardown(async () => { await wire.close(); await gateway.close() })
  const client = createClient({ baseURL: wire.url.replace('//', '//url-user:url-pass@') })

  await client.post('/secret-path/x?secret-query=1', { field: 'secret-body' }, {
    params: { 'secret-param': 'secret-value' },
    auth: { username: 'secret-user', password: 'secret-pässword' },
    withXSRFToken: true,
    headers: {
      Authorization: 'replaced by auth',
      Cookie: 'session=secret-cookie',
      'X-Custom': 'secret-custom',
      'Content-Type': 'application/vnd.secret-type+json',
      Accept: 'application/vnd.secret-accept',
      'User-Agent': 'secret-agent'
    }
  })

  const { method, url, headers, body } = workload.last()
  t.equal(method, 'POST')
  t.equal(url, '/secret-path/x?secret-query=1&secret-param=secret-value')
  t.equal(body.toString(), '{"field":"secret-body"}')
  t.match(headers, {
    authorization: `Basic ${Buffer.from('secret-user:secret-pässword').toString('base64')}`,
    cookie: 'session=secret-cookie',
    'x-custom': 'secret-custom',
    'content-type': 'application/vnd.secret-type+json',
    accept: 'application/vnd.secret-accept',
    'user-agent': 'secret-agent'
  })

  const sent = wire.sent().toString('latin1')
  for (const clear of ['secret', 'url-user', 'url-pass', 'uthorization', 'ookie', 'X-Custom', 'x-custom']) {
    t.notMatch(sent, clear)
    t.notMatch(sent, Buffer.from(clear).toString('base64').slice(1, -2))
  }
  t.notMatch(wire.received().toString('latin1').toLowerCase(), /secret-/)

  const head = sent.slice(sent.indexOf('POST '), sent.indexOf('\r\n\r\n', sent.indexOf('POST ')))
  t.match(head, /^POST \/ HTTP\/1.1\r\n/)
  t.same(head.split('\r\n').slice(1).map(line => line.split(':')[0]?.toLowerCase()).sort(), [
    'accept-encoding', 'connection', 'content-length', 'content-type', 'host', 'polaris-response-public-key',
    'polaris-secure',
    'polaris-url', 'user-agent'
  ])
  t.match(head, /\r\ncontent-type: application\/octet-stream\r\n/i)
})

t.test('credentials in the URL arrive as a header inside', async t => {
  const gateway = await startV1Gateway({ workload: workload.url })
  t.teardown(() => gateway.close())
  const client = createClient({ baseURL: gateway.url.replace('//', '//us%40er:p%3Ass@') })
  await client.get('/')
  t.equal(workload.last().headers.authorization, `Basic ${Buffer.from('us@er:p:ss').toString('base64')}`)
  await createClient({ baseURL: gateway.url.replace('//', '//100%:x@') }).get('/')
  t.equal(workload.last().headers.authorization, `Basic ${Buffer.from('100%:x').toString('base64')}`)
})

t.test('every method and path arrives as it was meant', async t => {
  const gateway = await startV1Gateway({ workload: workload.url })
  t.teardown(() => gateway.close())
  const client = createClient({ baseURL: gateway.url })
  for (const [method, path] of [
    ['GET', '/'], ['GET', '/?q=1'], ['DELETE', '/items/42'], ['PUT', '/a%2Fb/ü'], ['PATCH', '/x'], ['OPTIONS', '/x'],
    ['POST', '/no/body'], ['HEAD', '/x']
  ] as const) {
    t.equal((await client.request({ method, url: path })).status, 200)
    t.equal(workload.last().method, method)
    t.equal(workload.last().url, encodeURI(path).replace('%25', '%'))
  }
})

t.test('only the system paths themselves are the proxy\'s, everything else is sealed', async t => {
  const gateway = await startV1Gateway({ workload: workload.url })
  const wire = await startWire(gateway.url)
  t.teardown(async () => { await wire.close(); await gateway.close() })
  const client = createClient({ baseURL: wire.url })
  for (const name of [
    'health', 'publicKey', 'logLevel', 'livez', 'readyz', 'startupz', 'keys', 'attestation', 'about'
  ]) {
    await client.get(`/polaris-container/${name}`)
    t.match(wire.sent().toString(), `GET /polaris-container/${name} HTTP/1.1`)
  }
  const before = workload.received.length
  for (const path of [
    '/polaris-containers', '/polaris-container', '/polaris-container/', '/polaris-container/healthy',
    '/polaris-container/health/', '/polaris-container/Health', '/polaris-container/other?x=1',
    '/x/polaris-container/health'
  ]) {
    await client.get(path)
    t.equal(workload.last().url, path)
    t.notMatch(wire.sent().toString(), `GET ${path} HTTP`, path)
  }
  t.equal(workload.received.length, before + 8)
})

t.test('the copies inside are those outside, also under other names', async t => {
  const headerNames = { url: 'x-url', headers: 'x-secure', responsePublicKey: 'x-key' }
  const gateway = await startV1Gateway({ workload: workload.url, headerNames })
  t.teardown(() => gateway.close())
  t.equal((await createClient({ baseURL: gateway.url }, { headerNames }).get('/named')).data.url, '/named')
  const { headers } = workload.last()
  t.ok(headers['x-url'] && headers['x-key'], 'the stand-in compared them and handed them on')
})

t.test('with input encryption off only the response key is added, with both off nothing', async t => {
  const output = await startV1Gateway({ workload: workload.url, input: false })
  const wire = await startWire(output.url)
  t.teardown(async () => { await wire.close(); await output.close() })
  const { data } = await createClient({ baseURL: wire.url }, { enableInputEncryption: false }).post(
    '/clear', { a: 1 }, { headers: { 'x-a': 'b' } }
  )
  t.match(data, { url: '/clear', body: '{"a":1}', headers: { 'x-a': 'b', 'content-type': 'application/json' } })
  t.match(wire.sent().toString(), /^POST \/clear HTTP/)
  t.notMatch(wire.received().toString(), 'clear')

  const neither = createClient(
    { baseURL: workload.url }, { enableInputEncryption: false, enableOutputEncryption: false }
  )
  t.equal((await neither.get('/plain')).data.headers['polaris-response-public-key'], undefined)
})

t.test('with output encryption off no key is sent and axios treats the response itself', async t => {
  const gateway = await startV1Gateway({ workload: workload.url, output: false })
  const wire = await startWire(gateway.url)
  t.teardown(async () => { await wire.close(); await gateway.close() })
  const client = createClient({ baseURL: wire.url }, { enableOutputEncryption: false })
  const { data, config } = await client.post('/x', { a: 1 }, { responseType: 'stream' })
  t.type(data.pipe, 'function', 'streams are possible then')
  t.equal(config.url, '/x', 'the caller finds its own config')
  data.resume()
  t.notMatch(wire.sent().toString(), 'polaris-response-public-key')
  t.equal(workload.last().headers['polaris-response-public-key'], undefined)
})

t.test('framing headers are not sealed: the proxy frames for itself', async t => {
  const gateway = await startV1Gateway({ workload: workload.url })
  const wire = await startWire(gateway.url)
  t.teardown(async () => { await wire.close(); await gateway.close() })
  await createClient({ baseURL: wire.url }).post('/x', 'abc', {
    headers: {
      'Content-Length': '999',
      'Transfer-Encoding': 'chunked',
      Connection: 'x',
      TE: 'trailers',
      Host: 'proxy.test',
      'X-List': ['a', 'b'],
      Cookie: ['c=1', 'd=2']
    }
  })
  const { headers, body } = workload.last()
  t.equal(body.toString(), 'abc')
  t.match(headers, { 'content-length': '3', te: undefined, 'x-list': 'a, b', cookie: 'c=1; d=2' })
  t.match(wire.sent().toString(), /\r\nhost: proxy\.test\r\n/i, 'host chooses the way to the proxy')
})

t.test('a request that cannot be sealed as it is, is refused before anything is sent', async t => {
  const gateway = await startV1Gateway({ workload: workload.url })
  const wire = await startWire(gateway.url)
  t.teardown(async () => { await wire.close(); await gateway.close() })
  const client = createClient({ baseURL: wire.url })
  const refusal = { name: 'UnsupportedRequestError', code: 'ERR_POLARIS_UNSUPPORTED_REQUEST' }
  for (const responseType of ['stream', 'document', 'formdata'] as const) {
    await t.rejects(client.get('/x', { responseType }), { ...refusal, message: /use 'arraybuffer'/ })
  }
  await t.rejects(createClient({}).get('/relative'), { ...refusal, message: /absolute/ })
  await t.rejects(client.get('/', { data: 7, transformRequest: data => data }), { ...refusal, message: /type of data/ })
  t.equal(wire.sent().toString().match(/polaris-secure/g), null)
})

t.test('a caller\'s config is left as it was', async t => {
  const config = {
    url: `${workload.url}/x`,
    method: 'post',
    params: { a: 1 },
    data: { b: 2 },
    headers: new axios.AxiosHeaders({ 'x-a': 'b' }),
    transformRequest: axios.defaults.transformRequest
  }
  const before = JSON.stringify(config)
  const intercept = createAxiosRequestInterceptor(
    { polarisSDK: new PolarisSDK(new NodeKeyHandler()), publicKey: await new NodeKeyHandler().getPublicKey() }
  )
  const sealed = await intercept(config)
  t.equal(JSON.stringify(config), before)
  t.notMatch(JSON.stringify({ ...sealed, data: String(sealed.data) }), /x-a|"b"/)
})

t.test('requests recorded from the original are made again', { skip: vectors ? false : ABSENT }, async t => {
  const [recorded] = vectors?.requests ?? []
  if (!vectors || !recorded) return
  const privateKey = createPrivateKey(vectors.keys.server.privatePem)
  const polarisSDK = new PolarisSDK(new NodeKeyHandler(createPrivateKey(vectors.keys.client.privatePem)))
  const gateway = await startV1Gateway({ workload: workload.url, privateKey })
  const wire = await startWire(gateway.url)
  t.teardown(async () => { await wire.close(); await gateway.close() })
  await createClient({ baseURL: wire.url }, { polarisSDK }).post('/test', { data: 'polaris' })

  const { method, url, headers, bodyBase64 } = recorded.expectWorkload
  const received = workload.last()
  t.same([received.method, received.url, received.body.toString('base64')], [method, url, bodyBase64])
  for (const [name, value] of Object.entries(headers)) {
    // A message is never the same twice.
    if (name !== 'polaris-url') t.equal(received.headers[name.toLowerCase()], value, name)
  }
  const [, target = ''] = /polaris-url: (\S+)/.exec(wire.sent().toString()) ?? []
  t.equal(openV1(Buffer.from(target, 'base64'), privateKey).toString(), '/test')
  t.equal(received.headers['polaris-url'], target)

  for (const {
    name, request, expectWorkload, boundResponseKey
  } of vectors.requests.filter(({ boundResponseKey }) => boundResponseKey)) {
    const response = await fetch(gateway.url + request.path, {
      method: request.method, headers: withoutFraming(request.headers), body: Buffer.from(request.bodyBase64, 'base64')
    })
    t.equal(response.status, 200)
    t.ok(boundResponseKey)
    t.equal(workload.last().body.toString('base64'), expectWorkload.bodyBase64, `${name}: recorded bytes open`)
    t.equal(JSON.parse((await polarisSDK.decrypt(await response.text())).toString()).url, expectWorkload.url)
  }
})

function withoutFraming (headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'content-length'))
}
