/** Where each unwrap costs money, a client whose requests do not open is turned away before the next. */
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import type { KeyProvider } from '../../../lib/keys/provider.ts'
import { fixedKey, startProxy } from '../../fixtures/proxy.ts'
import { rsaKey } from '../../fixtures/rsa.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const local = await fixedKey(rsaKey().privatePem)
t.teardown(() => local.close())

/** A proxy whose keys are elsewhere, or so it believes. */
async function setUp (t: Test, config: ConfigInput = {}, remote = true) {
  const unwraps = { count: 0 }
  const keyProvider: KeyProvider = {
    ...local,
    remote,
    unwrap (keyId, wrapped) {
      unwraps.count++
      return local.unwrap(keyId, wrapped)
    },
    close: async () => undefined
  }
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, {
    workloadBaseUrl: workload.url,
    enableInputEncryption: true,
    v1ReplayProtection: false,
    keyRemoteFailedUnwraps: 3,
    ...config
  }, { keyProvider })
  const client = await v1Client(proxy.url)
  const good = await client.request({ target: '/good' })
  // Well-formed, but for another key.
  const other = await fixedKey(rsaKey().privatePem)
  t.teardown(() => other.close())
  const otherProxy = await startProxy(
    t, { workloadBaseUrl: workload.url }, { keyProvider: { ...other, close: async () => undefined } }
  )
  const bad = await (await v1Client(otherProxy.url)).request({ target: '/bad' })
  const send = (request: typeof good, headers: Record<string, string> = {}) => fetch(
    proxy.url, { method: 'POST', headers: { ...request.headers, ...headers } }
  )
  const statuses = async (count: number, request: typeof good, headers: Record<string, string> = {}) => {
    const found: number[] = []
    for (let i = 0; i < count; i++) found.push((await send(request, headers)).status)
    return found
  }
  return { unwraps, good, bad, send, statuses }
}

t.test('past the limit there is 429, with the time to wait, and no unwrap', async t => {
  const { unwraps, good, bad, send, statuses } = await setUp(t)
  t.same(await statuses(4, good), [200, 200, 200, 200], 'what opens is not counted')
  // A minute may end among them: then they begin anew.
  let answer = await send(bad)
  while (answer.status === 400) answer = await send(bad)
  const before = unwraps.count
  t.equal(answer.status, 429)
  const wait = Number(answer.headers.get('retry-after'))
  t.ok(Number.isInteger(wait) && wait >= 1 && wait <= 60, String(wait))
  t.match(await answer.json(), { type: 'urn:polaris-secure-proxy:problem:too-many-requests' })
  t.equal((await send(good)).status, 429, 'whatever it sends')
  t.equal(unwraps.count, before)
})

t.test('keys in memory cost nothing, and have no such limit', async t => {
  const { bad, statuses } = await setUp(t, {}, false)
  t.same(await statuses(10, bad), Array(10).fill(400))
})

t.test('clients behind a trusted proxy are told apart', async t => {
  const { good, bad, send } = await setUp(t, { trustProxy: '127.0.0.1' })
  const from = (address: string) => ({ 'x-forwarded-for': address })
  while ((await send(bad, from('203.0.113.7'))).status === 400);
  t.equal((await send(bad, from('203.0.113.8'))).status, 400)
  t.equal((await send(good, from('203.0.113.9'))).status, 200)
})

t.test('what an untrusted client says about itself does not help it', async t => {
  const { bad, send } = await setUp(t)
  let sent = 0
  while ((await send(bad, { 'x-forwarded-for': `203.0.113.${sent}` })).status === 400) sent++
  t.ok(sent >= 3 && sent <= 6, String(sent))
})
