/** polaris.tls: the key that the TLS listener proves itself with, made here or read from files. */
import fp from 'fastify-plugin'
import { describeError } from '../../lib/http/describe-error.ts'
import type { EpochSecrets } from '../../lib/keys/hpke/ring.ts'
import { provide } from '../../lib/polaris.ts'
import type { TicketKeys } from '../../lib/tls/ticket-keys.ts'
import type { AcmeSource } from '../../lib/tls/acme/state.ts'
import type { TlsKeys } from '../../lib/tls/keys.ts'

declare module '../../lib/polaris.ts' {
  interface Polaris {
    /** Undefined if TLS is off. */
    readonly tls: TlsKeys | undefined
  }
}

export interface TlsKeysPluginOptions {
  /** What the keys of an instance are made from, if several processes share them. */
  readonly tlsSecrets?: EpochSecrets
  /** What orders certificates, if another process does. */
  readonly acme?: AcmeSource
}

export interface TlsListenerPluginOptions {
  /** What session tickets are encrypted with, if several processes share it. */
  readonly ticketKeys?: TicketKeys
}

export default fp<TlsKeysPluginOptions>(async function tlsKeys (app, options) {
  const { config, keys, readiness } = app.polaris
  if (config.tls === 'off') return provide(app.polaris, 'tls', undefined)

  const onServe = (pin: string) => app.log.info({ pin }, 'TLS key serves')
  const tls = await { attested: made, files: fromFiles, acme: issued }[config.tls]()
  provide(app.polaris, 'tls', tls)
  readiness.add('tls', () => tls.problem())
  app.addHook('onClose', async () => tls.close())

  // Loaded only if they are used, as is the library that writes certificates.
  async function made (): Promise<TlsKeys> {
    const [{ createTlsRing }, { tlsSources }] = await Promise.all([
      import('../../lib/tls/ring.ts'), import('../../lib/tls/secrets.ts')
    ])
    return createTlsRing({
      rotation: config.tlsRotation,
      overlap: config.tlsOverlap,
      names: config.tlsNames.split(',').map(name => name.trim()),
      sources: tlsSources(config, keys, options.tlsSecrets),
      onError: error => app.log.error({ err: describeError(error) }, 'could not make a TLS key; trying again'),
      onServe
    })
  }

  async function issued (): Promise<TlsKeys> {
    const [{ createAcmeRing }, { acmeSourceFrom }] = await Promise.all([
      import('../../lib/tls/acme/ring.ts'), import('../../lib/tls/acme/from-config.ts')
    ])
    const source = options.acme ?? await acmeSourceFrom(config, app.log, 0)
    return createAcmeRing({ source, overlap: config.tlsOverlap, onServe })
  }

  async function fromFiles (): Promise<TlsKeys> {
    const { tlsKeyFiles } = await import('../../lib/tls/files.ts')
    app.log.warn('The TLS key comes from a file: others than this TEE may have it, and no evidence covers it')
    return await tlsKeyFiles(config, reason => {
      app.log.warn({ reason }, 'TLS certificate and key cannot be read again; those read before stay in use')
    }, onServe)
  }
}, { name: 'polaris-tls-keys', dependencies: ['polaris-config', 'polaris-keys'] })
