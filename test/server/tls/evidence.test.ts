/** Each TLS key is covered by evidence before it serves, and for as long as connections with it may live. */
import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { Attester } from '../../../lib/attestation/attester.ts'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { RemoteError } from '../../../lib/remote/error.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import type { Proxy } from '../../fixtures/proxy.ts'
import { pinOf, servingTls, tlsClient, tlsPort, tlsRequest } from '../../fixtures/tls.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const genuine = await simulated()

async function setUp (t: Test, config: ConfigInput = {}) {
  const state = { away: false }
  const attester: Attester = {
    type: 'simulated',
    async evidence (request) {
      if (!state.away) return genuine.evidence(request)
      throw new RemoteError('transient', 'The launcher is away', { providerCode: 'AWAY', advice: 'Wait' })
    }
  }
  const workload = await startWorkload(t)
  const start = () => startProxy(
    t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0, ...config }, { attester }
  )
  return { state, start }
}

interface Document {
  readonly keys: readonly { readonly kind: string, readonly value: string }[]
}

/** Pins of the TLS keys in the evidence, as asked for on a connection of its own. */
async function covered (port: number, nonce = ''): Promise<string[]> {
  const { body } = await tlsRequest(port, `/polaris-container/attestation${nonce}`)
  return (JSON.parse(body.toString()) as Document).keys.filter(({ kind }) => kind === 'tls-spki')
    .map(({ value }) => createHash('sha256').update(Buffer.from(value, 'base64url')).digest('base64'))
}

const ready = async (proxy: Proxy) => (await fetch(`${proxy.url}/polaris-container/readyz`)).json()

t.test('without evidence there is no handshake, and readyz says why; it begins by itself', async t => {
  const { state, start } = await setUp(t)
  state.away = true
  const proxy = await start()
  const port = await tlsPort(proxy)
  await t.rejects(tlsClient(t, port), { code: /^ERR_SSL/ })
  t.match(await ready(proxy), { reasons: ['tls: waiting for evidence that covers the key'] })
  state.away = false
  await servingTls(proxy)
  const socket = await tlsClient(t, port)
  t.same(await covered(port), [pinOf(socket)])
  t.same(await ready(proxy), { status: 'ok' })
})

t.test('at every moment of a rotation, evidence covers the key that a connection has', async t => {
  const { start } = await setUp(t, { tlsRotation: '6s', tlsOverlap: '3s', attestationRateLimit: 100_000 })
  const port = await servingTls(await start())
  const seen = new Set<string>()
  const nonce = `?nonce=${Buffer.alloc(32, 1).toString('base64url')}`
  while (seen.size < 3) {
    const socket = await tlsClient(t, port)
    const pin = pinOf(socket)
    socket.destroy()
    seen.add(pin)
    for (const document of [await covered(port), await covered(port, nonce)]) {
      if (!document.includes(pin)) t.fail('a key without evidence')
    }
    await setTimeout(100)
  }
  t.equal(seen.size, 3)
})

t.test('a key whose evidence does not come does not serve: the one before it goes on', async t => {
  const { state, start } = await setUp(t, { tlsRotation: '3s', tlsOverlap: '1s' })
  const proxy = await start()
  const port = await servingTls(proxy)
  // A key whose evidence is there already may be about to serve.
  state.away = true
  await setTimeout(3500)
  const pins = new Set<string>()
  for (let i = 0; i < 20; i++) {
    pins.add(pinOf(await tlsClient(t, port)))
    await setTimeout(200)
  }
  t.equal(pins.size, 1)
  state.away = false
  while (pins.has(pinOf(await tlsClient(t, port)))) await setTimeout(50)
})

t.test('without a platform there is no evidence to wait for', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0, attestationType: 'none' }
  )
  const port = await servingTls(proxy)
  t.same(await covered(port), [pinOf(await tlsClient(t, port))])
})
