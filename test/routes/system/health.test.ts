/** The health endpoints answer as the original's, and tell starting, serving and stopping apart. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createEphemeralProvider } from '../../../lib/platforms/local/ephemeral-keys.ts'
import type { KeyProvider, KeyStatus } from '../../../lib/keys/provider.ts'
import { startProxy } from '../../fixtures/proxy.ts'

const workloadBaseUrl = 'http://127.0.0.1:9'
const get = async (url: string, path: string) => {
  const response = await fetch(`${url}/polaris-container${path}`)
  return { status: response.status, body: await response.text(), headers: response.headers }
}

/** A provider whose key is said to be there, or not, by the test. */
function switchable () {
  const inner = createEphemeralProvider({ modulusLength: 2048 })
  const state: { status: KeyStatus } = { status: { ready: false, reason: 'generating the key' } }
  const provider: KeyProvider = {
    ...inner, status: () => state.status, publicKeys: () => state.status.ready ? inner.publicKeys() : []
  }
  return { provider, state }
}

t.test('health and livez say ok, as the original, and may not be cached', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl })
  for (const path of ['/health', '/livez']) {
    const { status, body, headers } = await get(url, path)
    t.equal(status, 200)
    t.equal(body, '{"status":"ok"}')
    t.match(headers.get('content-type'), /^application\/json/)
    t.equal(headers.get('cache-control'), 'no-store')
  }
})

t.test('before the keys are there the proxy lives, is not ready, and says why', async t => {
  const { provider, state } = switchable()
  const { url } = await startProxy(t, { workloadBaseUrl }, { keyProvider: provider })
  t.equal((await get(url, '/livez')).status, 200)
  for (const path of ['/readyz', '/startupz']) {
    const { status, body, headers } = await get(url, path)
    t.equal(status, 503)
    t.same(JSON.parse(body), { status: 'not ready', reasons: ['keys: generating the key'] })
    t.equal(headers.get('cache-control'), 'no-store')
  }
  const key = await get(url, '/publicKey')
  t.equal(key.status, 503)
  t.equal(key.headers.get('content-type'), 'application/problem+json')
  t.equal(key.headers.get('retry-after'), '1')

  state.status = { ready: true }
  for (const path of ['/readyz', '/startupz', '/publicKey']) t.equal((await get(url, path)).status, 200, path)
})

t.test('startupz latches: what was ready once has started', async t => {
  const { provider, state } = switchable()
  const { url } = await startProxy(t, { workloadBaseUrl }, { keyProvider: provider })
  state.status = { ready: true }
  t.equal((await get(url, '/startupz')).status, 200)
  state.status = { ready: false, reason: 'gone' }
  t.equal((await get(url, '/readyz')).status, 503)
  t.equal((await get(url, '/startupz')).status, 200)
})

t.test('readyz checks the workload only where it is told to', async t => {
  const workload = createServer(socket => socket.destroy()).listen(0, '127.0.0.1')
  await once(workload, 'listening')
  const { port } = workload.address() as AddressInfo
  const address = `http://127.0.0.1:${port}`
  const checking = await startProxy(t, { workloadBaseUrl: address, readyChecksWorkload: true })
  const trusting = await startProxy(t, { workloadBaseUrl: address })
  t.equal((await get(checking.url, '/readyz')).status, 200)

  workload.close()
  await once(workload, 'close')
  const { status, body } = await get(checking.url, '/readyz')
  t.equal(status, 503)
  t.same(JSON.parse(body).reasons, ['workload: does not accept connections'], 'the reason names no address')
  t.equal((await get(trusting.url, '/readyz')).status, 200)
  t.equal((await get(checking.url, '/livez')).status, 200)
})
