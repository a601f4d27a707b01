/** polaris.hpke: the key ring of the OHTTP gateway. */
import fp from 'fastify-plugin'
import { createRatchet } from '../lib/keys/epoch-secrets.ts'
import { createHpkeRing } from '../lib/keys/hpke-ring.ts'
import type { HpkeRing } from '../lib/keys/hpke-ring.ts'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../lib/protocols/hpke-suites.ts'
import { describeError } from './errors.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly hpke: HpkeRing
  }
}

export interface HpkePluginOptions {
  /** A ring of your own, such as one that several processes share. Closed with the app. */
  hpkeRing?: HpkeRing
}

export default fp<HpkePluginOptions>(async function hpke (app, options) {
  const { config, readiness } = app.polaris
  const hpke = options.hpkeRing ?? createHpkeRing({
    rotation: config.hpkeRotation,
    retirement: config.hpkeRetirement,
    kemIds: config.hpkePostQuantum ? [KEM_MLKEM768_X25519, KEM_X25519] : [KEM_X25519],
    secrets: createRatchet(),
    onError: error => app.log.error({ err: describeError(error) }, 'HPKE keys could not be made; trying again')
  })
  Object.assign(app.polaris, { hpke })

  const tell = () => app.log.info({ keys: hpke.keys().map(({ keyId, kemId, state }) => ({ keyId, kemId, state })) }, 'HPKE keys')
  hpke.onRotation(tell)
  readiness.add('hpke', () => hpke.isReady ? undefined : 'making the keys')
  app.addHook('onClose', async () => hpke.close())
}, { name: 'polaris-hpke', dependencies: ['polaris-config'] })
