/** The axios interceptors, the proxy's public key: where it is looked for, how often, and which one is accepted. */
import t from 'tap'
import { createAxiosRequestInterceptor, PolarisSDK } from '../../../../sdk/index.ts'
import { createClient, NodeKeyHandler } from '../../../fixtures/sdk-client.ts'
import { startV1Gateway } from '../../../fixtures/v1-gateway.ts'
import { startWire } from '../../../fixtures/wire.ts'
import { startAnsweringWorkload } from '../../../fixtures/answering-workload.ts'

const workload = await startAnsweringWorkload()
t.teardown(() => workload.close())

t.test('a proxy below a path is called there, for its key too', async t => {
  for (const polarisProxyBasePath of ['mounted/here', '/mounted/here/']) {
    const gateway = await startV1Gateway({ workload: workload.url, basePath: '/mounted/here/' })
    const wire = await startWire(gateway.url)
    const client = createClient({ baseURL: wire.url }, { polarisProxyBasePath })
    await client.get('/items?x=1')
    t.equal(workload.last().url, '/items?x=1')
    t.match(
      wire.sent().toString(), /^GET \/mounted\/here\/polaris-container\/publicKey HTTP[^]*\nGET \/mounted\/here\/ HTTP/
    )
    t.equal((await client.get('/mounted/here/polaris-container/health')).data.status, 'ok')
    await wire.close()
    await gateway.close()
  }
})

t.test('a key that is not below the path is looked for at the root', async t => {
  const asked: string[] = []
  const { publicKey, close, url } = await startV1Gateway({ workload: workload.url })
  t.teardown(close)
  const fetch = async (input: string | URL | Request) => {
    asked.push(String(input).replace(url, ''))
    return asked.length === 1 ? new Response('no', { status: 404 }) : Response.json({ publicKey: publicKey() })
  }
  await createClient({ baseURL: url }, { polarisProxyBasePath: 'below', fetch }).get('/x')
  t.same(asked, ['/below/polaris-container/publicKey', '/polaris-container/publicKey'])
})

t.test('the public key is fetched once for each proxy, however many requests begin at once', async t => {
  const gateways = [await startV1Gateway({ workload: workload.url }), await startV1Gateway({ workload: workload.url })]
  t.teardown(() => Promise.all(gateways.map(gateway => gateway.close())))
  const client = createClient({})
  await Promise.all(gateways.flatMap(({ url }) => [1, 2, 3].map(i => client.get(`${url}/${i}`))))
  await Promise.all(gateways.map(({ url }) => client.get(`${url}/again`)))
  t.same(gateways.map(gateway => gateway.keyRequests()), [1, 1])

  const pinned = createClient({}, { publicKey: gateways[0]?.publicKey() ?? '' })
  await pinned.get(`${gateways[0]?.url}/pinned`)
  t.same(gateways.map(gateway => gateway.keyRequests()), [1, 1], 'not at all where it is given')
})

t.test('a key that could not be fetched is fetched again, and the error says where it should be', async t => {
  const gateway = await startV1Gateway({ workload: workload.url })
  t.teardown(() => gateway.close())
  const answers = [
    () => Promise.reject(new TypeError('fetch failed')),
    async () => new Response('<html>', { status: 200 }),
    async () => Response.json({ publicKey: 7 }),
    async () => Response.json(null),
    async () => new Response('busy', { status: 503 }),
    async () => Response.json({ publicKey: gateway.publicKey() })
  ]
  const client = createClient({ baseURL: gateway.url }, { fetch: () => (answers.shift() ?? answers[0] as never)() })
  for (let i = 0; i < 5; i++) {
    await t.rejects(client.get('/x'), {
      name: 'PublicKeyError',
      code: 'ERR_POLARIS_PUBLIC_KEY',
      message: `No public key from ${gateway.url}/polaris-container/publicKey: check that`
    })
  }
  t.equal((await client.get('/x')).status, 200)
})

t.test('options that do not exist are refused by name: a misspelt key would not be pinned', async t => {
  const polarisSDK = new PolarisSDK(new NodeKeyHandler())
  const cases: [options: object, message: string][] = [
    [{ publickey: 'pem' }, 'createAxiosRequestInterceptor has no option "publickey": did you mean publicKey?'],
    [
      { enableEncryption: true },
      'createAxiosRequestInterceptor has no option "enableEncryption": did you mean enableInputEncryption?'
    ],
    [{ headerNames: { URL: 'x' } }, 'headerNames has no member "URL": did you mean url?'],
    [{ timeout: 1 }, 'createAxiosRequestInterceptor has no option "timeout": there are polarisSDK, ']
  ]
  for (const [options, message] of cases) {
    t.throws(
      () => createAxiosRequestInterceptor({ polarisSDK, ...options }),
      { name: 'TypeError', message: new RegExp(`^${message.replace(/[?]/g, '\\$&')}`) }
    )
  }
})
