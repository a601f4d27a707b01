/**
 * The SDK waits as long as the caller does: the limits of Node's fetch do not hold. Where one holds, its error says so.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { Agent, MockAgent, setGlobalDispatcher, getGlobalDispatcher } from 'undici'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

/** undici looks at its clocks every half second. */
const LIMIT = 100
const LATER = 1800

const wait = (ms: number) => new Promise(resolve => { setTimeout(resolve, ms) })
const workload = await startWorkload(t, async (request, response) => {
  if (request.url === '/late') await wait(LATER)
  response.write('first')
  if (request.url === '/halting') await wait(LATER)
  response.end(' last')
})
const proxy = await startProxy(t, { workloadBaseUrl: workload.url })

/** As an operator would set it for the process. */
function globalDispatcher (t: Test, dispatcher: Agent) {
  const before = getGlobalDispatcher()
  setGlobalDispatcher(dispatcher)
  t.teardown(async () => {
    setGlobalDispatcher(before)
    await dispatcher.close()
  })
}

t.test('limits of the global dispatcher do not apply: it is Node that sets them to five minutes, and nobody ' +
  'asked', async t => {
  globalDispatcher(t, new Agent({ headersTimeout: LIMIT, bodyTimeout: LIMIT }))
  await t.rejects(fetch(`${workload.url}/late`), { cause: { code: 'UND_ERR_HEADERS_TIMEOUT' } }, 'native gives up')
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url })
  for (const path of ['/late', '/halting']) t.equal(await (await polarisFetch(path)).text(), 'first last', path)
})

t.test('a dispatcher of the caller\'s has its limits, and their error a code of its own', async t => {
  const dispatcher = new Agent({ headersTimeout: LIMIT, bodyTimeout: LIMIT })
  t.teardown(() => dispatcher.close())
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url, dispatcher })
  await t.rejects(
    polarisFetch('/late'),
    { code: 'ERR_POLARIS_TIMEOUT', nothingSent: false, message: /UND_ERR_HEADERS_TIMEOUT.*may have been processed/ }
  )
  const response = await polarisFetch('/halting')
  await t.rejects(response.text(), { code: 'ERR_POLARIS_TIMEOUT', message: /stalled/ })
})

t.test('the caller\'s signal is the limit, and its reason the error', async t => {
  const polarisFetch = createPolarisFetch({ baseURL: proxy.url })
  await t.rejects(polarisFetch('/late', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
})

t.test('a global dispatcher is used, be it a proxy agent or a mock', async t => {
  const agent = new MockAgent()
  agent.disableNetConnect()
  globalDispatcher(t, agent as unknown as Agent)
  agent.get('https://mocked.example').intercept({ path: '/.well-known/ohttp-gateway' }).reply(404, 'from the mock')
  await t.rejects(
    createPolarisFetch({ baseURL: 'https://mocked.example' })('/'),
    { code: 'ERR_POLARIS_NOT_A_GATEWAY', message: /status 404/ }
  )
})

t.test('errors of the connection name the reason, and whether anything can have been sent', async t => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await t.rejects(
    createPolarisFetch({ baseURL: `http://127.0.0.1:${port}` })('/'),
    { code: 'ERR_POLARIS_KEYS_UNAVAILABLE', nothingSent: true, message: /ECONNREFUSED/ }
  )
  await t.rejects(
    createPolarisFetch({ baseURL: 'http://does-not-exist.invalid' })('/'),
    { code: 'ERR_POLARIS_KEYS_UNAVAILABLE', message: /ENOTFOUND|EAI_AGAIN/ }
  )

  const own = await startProxy(t, { workloadBaseUrl: workload.url })
  const polarisFetch = createPolarisFetch({ baseURL: own.url })
  t.equal((await polarisFetch('/')).status, 200)
  await own.close()
  await t.rejects(
    polarisFetch('/'), { code: 'ERR_POLARIS_CONNECTION', nothingSent: true, message: /ECONNREFUSED.*Nothing was sent/ }
  )

  const resetting = createServer((request, response) => {
    if (request.method === 'GET') {
      return fetch(`${proxy.url}${request.url}`).then(async keys => response.writeHead(
        200, { 'content-type': 'application/ohttp-keys' }
      ).end(Buffer.from(await keys.arrayBuffer())))
    }
    request.socket.resetAndDestroy()
  }).listen(0, '127.0.0.1')
  await once(resetting, 'listening')
  t.teardown(() => resetting.close())
  await t.rejects(
    createPolarisFetch({ baseURL: `http://127.0.0.1:${(resetting.address() as AddressInfo).port}` })('/'),
    {
      code: 'ERR_POLARIS_CONNECTION',
      nothingSent: false,
      message: /(?:ECONNRESET|other side closed).*may have been processed/
    }
  )
})
