/**
 * A platform that somebody adds: a key type and an attester type with settings of their own, registered through the
 * plugin's options. Nothing of the proxy is changed for it: settings and their rules, the choice of keys and evidence,
 * detection and readiness read what a platform says of itself.
 */
import fastify from 'fastify'
import t from 'tap'
import polaris, { options as serverOptions } from '../../app.ts'
import type { PolarisOptions } from '../../app.ts'
import { createEphemeralProvider } from '../../lib/platforms/local/ephemeral-keys.ts'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import type { Platform } from '../../lib/platforms/platform.ts'
import { createPolarisFetch } from '../../sdk/index.ts'
import { startWorkload } from '../fixtures/workload.ts'

const settings = {
  toySeed: { env: 'TOY_SEED', type: 'string', description: 'What the toy makes its keys of.' },
  toyBits: { env: 'TOY_BITS', type: 'integer', minimum: 2048, default: 2048, description: 'Length of its keys.' },
  toyMood: { env: 'TOY_MOOD', type: 'string', enum: ['good', 'bad'], default: 'good', description: 'Whether it works.' }
} as const

const seen: unknown[] = []

const toy: Platform<typeof settings> = {
  title: 'Toy',
  settings,
  keyTypes: [{
    name: 'toy',
    requires: ['toySeed'],
    seeds: [{ seed: 'sealed', when: { toyMood: 'good' } }],
    weakness: () => 'Toys are for children (TOY_SEED)',
    problems: async ({ toyMood }) => toyMood === 'bad' ? ['TOY_MOOD: it sulks'] : [],
    async create ({ toySeed, toyBits }, { pool }) {
      seen.push(toySeed)
      return createEphemeralProvider({ ...pool, modulusLength: toyBits })
    }
  }],
  attesterTypes: [{
    name: 'toy-evidence',
    requires: [],
    detect: async ({ toySeed }) => toySeed === 'detectable',
    create: async () => ({ ...await simulated(), type: 'toy-evidence' })
  }]
}

/** Settings of another platform are not among the types of those of the proxy. */
type ToyConfig = NonNullable<PolarisOptions['config']> & Record<`toy${string}`, unknown>

async function start (config: ToyConfig) {
  const lines: string[] = []
  const app = fastify({ ...serverOptions, logger: { level: 'info', stream: { write: line => { lines.push(line) } } } })
  t.teardown(() => app.close())
  await app.register(polaris, { platforms: [toy], config })
  return { app, lines }
}

t.test('its keys open requests, its evidence is found and served, its settings are read', async t => {
  const workload = await startWorkload(t)
  const { app, lines } = await start({
    workloadBaseUrl: workload.url, enableInputEncryption: true, keyType: 'toy', toySeed: 'detectable'
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const polarisFetch = createPolarisFetch({ baseURL: url })
  t.match(
    await (await polarisFetch('/inside', { method: 'POST', body: 'x' })).json(), { method: 'POST', url: '/inside' }
  )
  t.same(seen, ['detectable'])
  t.match(await (await fetch(`${url}/polaris-container/attestation`)).json(), { tee: 'simulated' })
  t.match(lines.join(''), /"keys":"toy"/)
  t.match(lines.join(''), /"type":"toy-evidence"/)
  t.match(lines.join(''), /Toys are for children/)
})

t.test('its rules count like those of the proxy\'s own platforms', async t => {
  const base = { workloadBaseUrl: 'http://127.0.0.1:9', keyType: 'toy' }
  const cases: ReadonlyArray<readonly [ToyConfig, RegExp]> = [
    [base, /TOY_SEED is required if POLARIS_CONTAINER_KEY_TYPE is toy/],
    [
      { ...base, toySeed: 'x', toyBits: 1 }, /TOY_BITS has a value that is not accepted; accepted: an integer from 2048/
    ],
    [{ ...base, toySeed: 'x', toyMood: 'bad' }, /TOY_MOOD: it sulks/],
    [
      { ...base, toySeed: 'x', hpkeSeed: 'derived' },
      /HPKE_SEED cannot be derived if the private key is not in memory; sealed can/
    ],
    [{ ...base, keyType: 'toys' }, /KEY_TYPE has a value that is not accepted; accepted: toy, google-federated/]
  ]
  for (const [config, message] of cases) await t.rejects(start(config), { code: 'ERR_CONFIG', message })
})

t.test('a proxy without it knows nothing of it', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  const config: ToyConfig = { workloadBaseUrl: 'http://127.0.0.1:9', keyType: 'toy' }
  await t.rejects(
    async () => { await app.register(polaris, { config }) }, { message: /KEY_TYPE has a value that is not accepted/ }
  )
})
