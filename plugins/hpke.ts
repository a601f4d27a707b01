/** polaris.hpke: the key ring of the OHTTP gateway. */
import fp from 'fastify-plugin'
import { hpkeRingFrom } from '../lib/keys/hpke/from-config.ts'
import type { EpochSecrets, HpkeRing } from '../lib/keys/hpke/ring.ts'
import { SealedSeedError } from '../lib/keys/hpke/sealed-seed.ts'
import { provide } from '../lib/polaris.ts'
import { codeOf, describeError } from '../lib/http/describe-error.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly hpke: HpkeRing
  }
}

export interface HpkePluginOptions {
  /** A ring of your own. Closed with the app. */
  readonly hpkeRing?: HpkeRing
  /** Where the ring's secrets come from, such as a ratchet that several processes share. */
  readonly epochSecrets?: EpochSecrets
}

export default fp<HpkePluginOptions>(async function hpke (app, options) {
  const { config, readiness, keys } = app.polaris
  let problem = 'making the keys'
  const hpke = options.hpkeRing ?? hpkeRingFrom(config, keys, options.epochSecrets, {
    onError (error) {
      problem = error instanceof SealedSeedError
        ? error.message
        : `the keys could not be made (${codeOf(error)}); trying again`
      app.log.error({ err: describeError(error) }, 'could not make HPKE keys; trying again')
    },
    onClash (keyIds) { app.log.warn({ keyIds }, 'HPKE keys of two RSA keys have the same id') }
  })
  provide(app.polaris, 'hpke', hpke)

  const tell = () => {
    const present = hpke.keys()
    app.log.info({ keys: present.map(({ keyId, kemId, state }) => ({ keyId, kemId, state })) }, 'HPKE keys')
  }
  hpke.onRotation(tell)
  readiness.add('hpke', () => hpke.isReady ? undefined : problem)
  app.addHook('onClose', async () => hpke.close())
}, { name: 'polaris-hpke', dependencies: ['polaris-config', 'polaris-keys'] })
