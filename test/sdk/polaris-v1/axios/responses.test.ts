/** The axios interceptors, responses: in the form that the caller asked for, redirects included. */
import type { AxiosError, AxiosRequestConfig, AxiosResponse } from 'axios'
import t from 'tap'
import { createClient } from '../../../fixtures/sdk-client.ts'
import { startV1Gateway } from '../../../fixtures/v1-gateway.ts'
import { startAnsweringWorkload } from '../../../fixtures/answering-workload.ts'
import { answering, failure, octets } from '../../../fixtures/v1/answers.ts'

const workload = await startAnsweringWorkload(answering)
const gateway = await startV1Gateway({ workload: workload.url })
t.teardown(async () => { await gateway.close(); await workload.close() })
const client = createClient({ baseURL: gateway.url })

t.test('responses come out as the caller asked for them', async t => {
  const cases: Array<[string, AxiosRequestConfig, unknown]> = [
    ['/json', {}, { ü: 1 }],
    ['/json', { responseType: 'json' }, { ü: 1 }],
    ['/json', { responseType: 'text' }, '{"ü":1}'],
    ['/json', { transformResponse: data => `${typeof data}!` }, 'string!'],
    ['/json', { transformResponse: [data => JSON.parse(data), data => data['ü'] + 1] }, 2],
    ['/text', {}, 'grüße'],
    ['/text', { responseType: 'json', transitional: { silentJSONParsing: true } }, 'grüße'],
    ['/octets', { responseType: 'arraybuffer' }, octets],
    ['/octets', { responseEncoding: 'latin1' }, octets.toString('latin1')],
    ['/octets', { responseEncoding: 'base64' }, octets.toString('base64')],
    ['/empty', {}, ''],
    ['/none', {}, ''],
    ['/empty', { responseType: 'arraybuffer' }, Buffer.alloc(0)]
  ]
  for (const [url, config, expected] of cases) {
    const { data } = await client.get(url, config)
    t.same(data, expected, `${url} ${JSON.stringify(config)}`)
    t.equal(Buffer.isBuffer(data), Buffer.isBuffer(expected))
  }
  const { data: blob } = await client.get('/octets', { responseType: 'blob' })
  t.equal(blob.type, 'image/png')
  t.same(Buffer.from(await blob.arrayBuffer()), octets)
  t.equal((await client.head('/json')).data, '')
})

t.test('the fetch adapter of axios works too, with the types it has', async t => {
  const fetching = createClient({ baseURL: gateway.url, adapter: 'fetch' })
  t.same((await fetching.get('/json')).data, { ü: 1 })
  const { data } = await fetching.get('/octets', { responseType: 'arraybuffer' })
  t.type(data, ArrayBuffer)
  t.same(Buffer.from(data), octets)
  t.match(
    await failure(fetching.post('/404', new Uint8Array(3))),
    { status: 404, response: { data: { error: 'no such item' } } }
  )
})

t.test('validateStatus is the caller\'s', async t => {
  t.match(
    await client.get('/404', { validateStatus: status => status === 404 }),
    { status: 404, data: { error: 'no such item' } }
  )
  t.match(await client.get('/503', { validateStatus: null }), { status: 503, data: 'later' })
  t.match(
    await failure(client.get('/json', { validateStatus: () => false })), { status: 200, response: { data: { ü: 1 } } }
  )
})

t.test('redirects are the caller\'s: the sealed request is not sent again', async t => {
  const count = workload.received.length
  const error = await failure(client.get('/moved'))
  t.match(error, { status: 302, response: { data: 'there' } })
  t.equal((error.response as AxiosResponse).headers.location, '/json')
  t.equal(workload.received.length, count + 1)
})

t.test('a JSON response that is none is an error of axios, with the response', async t => {
  await t.rejects(client.get('/text', { responseType: 'json', transitional: { silentJSONParsing: false } }), {
    name: 'SyntaxError', code: 'ERR_BAD_RESPONSE', response: { status: 200 }
  })
})

t.test('callers and their retries find their own config', async t => {
  const { config } = await client.post('/json?a=1', { b: 2 }, { params: { c: 3 }, headers: { 'x-a': 'b' } })
  t.match(config, { url: '/json?a=1', baseURL: gateway.url, data: { b: 2 }, params: { c: 3 }, headers: { 'x-a': 'b' } })
  t.equal(config.validateStatus, client.defaults.validateStatus)
  t.equal(config.transformRequest?.toString(), client.defaults.transformRequest?.toString())
  t.equal(config.maxRedirects, undefined)
  t.notOk(Object.hasOwn(config, 'auth'))
  t.equal(config.responseType, undefined)

  const renewing = createClient({ baseURL: gateway.url, headers: { Authorization: 'Bearer old' } })
  renewing.interceptors.response.use(undefined, (error: AxiosError) => {
    if (error.status !== 401 || !error.config) throw error
    error.config.headers.set('Authorization', 'Bearer new')
    return renewing(error.config)
  })
  t.equal((await renewing.get('/auth')).data, 'in')
})

t.test('a limit on the size of responses still holds, but for what sealing adds', async t => {
  const large = await startAnsweringWorkload((_, response) => response.end(Buffer.alloc(20_000)))
  const gateway = await startV1Gateway({ workload: large.url })
  t.teardown(async () => { await gateway.close(); await large.close() })
  const client = createClient({ baseURL: gateway.url })
  t.equal((await client.get('/', { responseType: 'arraybuffer', maxContentLength: 20_000 })).data.length, 20_000)
  t.match(
    await failure(client.get('/', { maxContentLength: 10_000 })), { name: 'AxiosError', message: /maxContentLength/ }
  )
})

t.test('responses to requests that were not sealed pass', async t => {
  t.match((await client.get('/polaris-container/health')).data, { status: 'ok' })
})
