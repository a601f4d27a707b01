/** The axios interceptors, failures: of the workload, of the network and of the proxy, each told as what it is. */
import axios from 'axios'
import type { AxiosError, AxiosRequestConfig, AxiosResponse, InternalAxiosRequestConfig } from 'axios'
import { inspect } from 'node:util'
import { pino } from 'pino'
import t from 'tap'
import { PolarisSDK } from '../../../../sdk/index.ts'
import { createClient, NodeKeyHandler } from '../../../fixtures/sdk-client.ts'
import { sealV1, startV1Gateway } from '../../../fixtures/v1-gateway.ts'
import { startWire } from '../../../fixtures/wire.ts'
import { startAnsweringWorkload } from '../../../fixtures/answering-workload.ts'
import { answering, failure } from '../../../fixtures/v1/answers.ts'

const workload = await startAnsweringWorkload(answering)
const gateway = await startV1Gateway({ workload: workload.url })
t.teardown(async () => { await gateway.close(); await workload.close() })
const client = createClient({ baseURL: gateway.url })
// It has the key from now on.
await client.get('/json')

t.test('error responses of the workload are decrypted, and rejected as axios rejects them', async t => {
  const keyRequests = gateway.keyRequests()
  const error = await failure(client.get('/404'))
  t.ok(axios.isAxiosError(error))
  t.match(error, {
    name: 'AxiosError',
    code: 'ERR_BAD_REQUEST',
    message: 'Request failed with status code 404',
    status: 404,
    response: { status: 404, data: { error: 'no such item' } },
    config: { url: '/404' }
  })
  t.equal((error.response as AxiosResponse).headers['x-trace'], 't')
  t.ok(error.request)
  t.same(
    JSON.parse(JSON.stringify(error)),
    { name: 'AxiosError', message: 'Request failed with status code 404', code: 'ERR_BAD_REQUEST', status: 404 }
  )

  t.match(await failure(client.get('/503')), { code: 'ERR_BAD_RESPONSE', status: 503, response: { data: 'later' } })
  t.match(
    await failure(client.get('/404', { responseType: 'arraybuffer' })),
    { response: { data: Buffer.from('{"error":"no such item"}') } }
  )
  t.match(await failure(client.get('/same')), { status: 304 })
  t.match(
    await failure(client.get('/400')), { code: 'ERR_BAD_REQUEST', response: { data: { title: 'mine' } } },
    'also a 400 that is the workload\'s own'
  )
  t.equal(gateway.keyRequests(), keyRequests, 'for that no key is fetched')
})

t.test('an error that is logged tells nothing of what was encrypted', async t => {
  const error = await failure(
    client.post('/404', { question: 'hunter2' }, { headers: { authorization: 'Bearer hunter2' } })
  )
  t.equal(
    (error.config as InternalAxiosRequestConfig).headers.get('authorization'), 'Bearer hunter2',
    'which the caller finds in it'
  )
  let line = ''
  pino({}, { write: text => { line += text } }).error(error, 'failed')
  for (const text of [inspect(error, { depth: 9 }), JSON.stringify(error), line]) {
    t.match(text, 'Request failed with status code 404')
    t.notMatch(text, /hunter2|no such item/)
  }
})

t.test('a request that failed on the network is sealed anew when it is sent again', async t => {
  const wire = await startWire(gateway.url)
  t.teardown(() => wire.close())
  const retrying = createClient({ baseURL: wire.url }, { publicKey: gateway.publicKey() })
  const error = await retrying.post(
    '/json', { secret: 1 }, { adapter: config => Promise.reject(new axios.AxiosError('down', 'ECONNRESET', config)) }
  )
    .catch((error: AxiosError) => error) as AxiosError
  t.equal(error.code, 'ECONNRESET')
  t.notMatch(JSON.stringify(error), 'secret', 'and what axios puts into the error is sealed')
  const { config = {} as never } = error
  t.same((await retrying({ ...config, adapter: 'http' })).data, { ü: 1 })
  t.equal(workload.last().body.toString(), '{"secret":1}')
})

t.test('errors of the proxy are readable, and never taken for the workload\'s', async t => {
  const answers = await startAnsweringWorkload(({ url }, response) => {
    const cases: Record<string, () => void> = {
      '/problem': () => response.writeHead(502, { 'content-type': 'application/problem+json' }).end(
        '{"title":"The workload cannot be reached"}'
      ),
      '/html': () => response.writeHead(413, { 'content-type': 'text/html' }).end('<h1>Too large</h1>'),
      '/busy': () => response.writeHead(400, { 'content-type': 'application/problem+json' }).end(
        '{"title":"The request cannot be opened"}'
      )
    }
    const answer = cases[url] ?? (() => response.writeHead(500).end('?'))
    answer()
  })
  t.teardown(() => answers.close())
  const publicKey = gateway.publicKey()
  for (const [basePath, status, data] of [
    ['problem', 502, { title: 'The workload cannot be reached' }],
    ['html', 413, '<h1>Too large</h1>'],
    ['busy', 400, { title: 'The request cannot be opened' }]
  ] as const) {
    const client = createClient(
      { baseURL: answers.url }, { publicKey, fetch: () => Promise.reject(new Error('not to be asked')) }
    )
    const through = (config: AxiosRequestConfig) => client.request({
      url: '/x',
      validateStatus: null,
      ...config,
      adapter: config => axios.getAdapter('http')({ ...config, url: `${answers.url}/${basePath}` })
    })
    const error = await failure(through({}))
    t.match(
      error, { name: 'ProxyError', code: 'ERR_POLARIS_PROXY', isAxiosError: true, status, response: { data } }, basePath
    )
    t.match(
      await failure(through({ responseType: 'arraybuffer' })), { response: { data } },
      'readable whatever type was asked for'
    )
  }
})

t.test('a refused request makes the client look for a new key, and say so', async t => {
  const gateway = await startV1Gateway({ workload: workload.url })
  t.teardown(() => gateway.close())
  const client = createClient({ baseURL: gateway.url })
  t.equal((await client.get('/json')).status, 200)
  gateway.rotate()
  const received = workload.received.length

  const errors = await Promise.all([1, 2, 3].map(() => failure(client.get('/json'))))
  for (const error of errors) {
    t.match(error, {
      name: 'PublicKeyChangedError',
      code: 'ERR_POLARIS_PUBLIC_KEY_CHANGED',
      status: 400,
      message: /send it again/,
      response: { data: { title: 'The request cannot be opened' } },
      cause: { code: 'ERR_POLARIS_PROXY' }
    })
  }
  t.equal(workload.received.length, received, 'nothing is sent again by itself')
  t.equal(gateway.keyRequests(), 2, 'one renewal serves all')
  t.equal((await client.get('/json')).status, 200)

  const pinned = createClient({ baseURL: gateway.url }, { publicKey: await new NodeKeyHandler().getPublicKey() })
  t.match(
    await failure(pinned.get('/json')), { code: 'ERR_POLARIS_PROXY', status: 400 }, 'a given key is never replaced'
  )
  t.equal(gateway.keyRequests(), 2)
})

t.test('a refused request with the same key, or none to be had, is the proxy\'s refusal', async t => {
  const gateway = await startV1Gateway({ workload: workload.url })
  t.teardown(() => gateway.close())
  let available = true
  const fetching: typeof fetch = (...args) => available ? fetch(...args) : Promise.reject(new TypeError('fetch failed'))
  const client = createClient(
    { baseURL: gateway.url }, { headerNames: { headers: 'unknown-to-the-proxy' }, fetch: fetching }
  )
  t.match(await failure(client.get('/json')), { code: 'ERR_POLARIS_PROXY', status: 400 })
  t.equal(gateway.keyRequests(), 2)
  available = false
  t.match(await failure(client.get('/json')), { code: 'ERR_POLARIS_PROXY', status: 400 })
})

t.test('a response that is not sealed to this client is not given out', async t => {
  const clientKey = new NodeKeyHandler()
  const own = await clientKey.getPublicKey()
  const sealed = sealV1(Buffer.from('{"a":1}'), own)
  const flipped = Buffer.from(sealed)
  flipped.writeUInt8(flipped.readUInt8(flipped.length - 1) ^ 1, flipped.length - 1)
  const cases: Array<[string, number, string]> = [
    ['in clear', 200, '{"forged":true}'],
    ['in clear, as a redirect', 302, 'forged'],
    [
      'sealed to another key', 200,
      sealV1(Buffer.from('x'), await new NodeKeyHandler().getPublicKey()).toString('base64')
    ],
    ['changed', 200, flipped.toString('base64')],
    ['changed, with an error status', 404, flipped.toString('base64')],
    ['cut', 200, sealed.subarray(0, -1).toString('base64')],
    ['cut in the header', 200, sealed.subarray(0, 100).toString('base64')]
  ]
  const answers = await startAnsweringWorkload((_, response) => {
    const [, status = 200, body = ''] = cases[0] ?? []
    response.writeHead(status).end(body)
  })
  t.teardown(() => answers.close())
  const polarisSDK = new PolarisSDK(clientKey)
  const client = createClient({ baseURL: answers.url }, { polarisSDK, publicKey: own })
  for (; cases[0]; cases.shift()) {
    const [name, status] = cases[0]
    const error = await failure(client.get('/x', { validateStatus: null }))
    t.match(
      error, { name: 'ResponseError', code: 'ERR_POLARIS_RESPONSE', status, message: /enableOutputEncryption/ }, name
    )
    t.equal((error.response as AxiosResponse).data, undefined, name)
  }
})
