/** polaris.keys: the provider of the RSA keys. */
import fp from 'fastify-plugin'
import { ConfigError } from '../lib/config/config.ts'
import { keyProblems } from '../lib/config/start.ts'
import { keyProviderFrom } from '../lib/platforms/choose.ts'
import type { KeyProvider } from '../lib/keys/provider.ts'
import { meteredKeyService } from '../lib/metrics/services.ts'
import { provide } from '../lib/polaris.ts'
import { describeError } from '../lib/http/describe-error.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly keys: KeyProvider
  }
}

export interface KeysPluginOptions {
  /** A provider of your own, in place of the one that the settings name. Closed with the app. */
  readonly keyProvider?: KeyProvider
}

export default fp<KeysPluginOptions>(async function keys (app, options) {
  const { config, metrics, platforms, readiness } = app.polaris
  const problems = options.keyProvider === undefined ? await keyProblems(config, platforms) : []
  if (problems.length > 0) throw new ConfigError(problems)
  const provider = options.keyProvider ?? await keyProviderFrom(config, app.log, platforms)
  const keys = metrics.isOn && !metrics.isMember ? meteredKeyService(metrics.meter, provider) : provider
  provide(app.polaris, 'keys', keys)

  keys.ready.then(
    () => app.log.info({ keys: keys.publicKeys().map(({ keyId, algorithm }) => ({ keyId, algorithm })) }, 'keys ready'),
    error => app.log.error({ err: describeError(error) }, 'keys failed'))
  readiness.add('keys', () => {
    const status = keys.status()
    return status.ready ? undefined : status.reason
  })

  const refresh = () => {
    keys.refresh().catch(
      error => app.log.warn({ err: describeError(error) }, 'could not refresh keys; continuing with the current ones')
    )
  }
  const timer = config.keyRefreshInterval > 0 ? setInterval(refresh, config.keyRefreshInterval).unref() : undefined
  process.on('SIGHUP', refresh)
  app.addHook('onClose', async () => {
    clearInterval(timer)
    process.off('SIGHUP', refresh)
    await keys.close()
  })
}, { name: 'polaris-keys', dependencies: ['polaris-config', 'polaris-metrics'] })
