/** polaris.keys: the provider of the RSA keys. */
import fp from 'fastify-plugin'
import { createEphemeralProvider } from '../lib/keys/ephemeral.ts'
import type { KeyProvider } from '../lib/keys/provider.ts'
import { describeError } from './errors.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly keys: KeyProvider
  }
}

export interface KeysPluginOptions {
  /** A provider of your own, in place of the one that the settings name. Closed with the app. */
  keyProvider?: KeyProvider
}

export default fp<KeysPluginOptions>(async function keys (app, options) {
  const { config, readiness } = app.polaris
  const keys = options.keyProvider ?? createEphemeralProvider({ maxPending: config.maxPendingUnwraps })
  Object.assign(app.polaris, { keys })

  keys.ready.then(
    () => app.log.info({ keys: keys.publicKeys().map(({ keyId, algorithm }) => ({ keyId, algorithm })) }, 'keys ready'),
    error => app.log.error({ err: describeError(error) }, 'keys failed'))
  readiness.add('keys', () => {
    const status = keys.status()
    return status.ready ? undefined : status.reason
  })
  app.addHook('onClose', () => keys.close())
}, { name: 'polaris-keys', dependencies: ['polaris-config'] })
