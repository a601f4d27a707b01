/** polaris.config: the settings, from the plugin's options or the environment. Starts the shared decorator. */
import fp from 'fastify-plugin'
import { configFrom, loadConfig } from '../lib/config/config.ts'
import type { Config, ConfigInput } from '../lib/config/config.ts'
import { unknownVariables } from '../lib/config/unknown.ts'
import { protections, weaknesses } from '../lib/config/weaknesses.ts'
import { createReadiness } from '../lib/http/readiness.ts'
import type { Readiness } from '../lib/http/readiness.ts'
import type { Platform } from '../lib/platforms/platform.ts'
import { registryOf } from '../lib/platforms/registry.ts'
import type { Registry } from '../lib/platforms/registry.ts'
import type { Polaris } from '../lib/polaris.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly config: Config
    readonly platforms: Registry
    readonly readiness: Readiness
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    polaris: Polaris
  }
}

export interface ConfigPluginOptions {
  /** Settings in place of the environment, which is then not read. */
  readonly config?: ConfigInput
  /** Platforms of your own, beside those of the proxy. Their settings, keys and evidence are used like any other. */
  readonly platforms?: readonly Platform[]
}

export default fp<ConfigPluginOptions>(async function config (app, options) {
  const platforms = registryOf(options.platforms)
  const config = options.config === undefined
    ? loadConfig(process.env, platforms)
    : configFrom(options.config, platforms)
  const readiness = createReadiness()
  app.decorate('polaris', { config, platforms, readiness } as Polaris)

  if (options.config === undefined) for (const warning of unknownVariables(process.env)) app.log.warn(warning)
  app.log.info({ protections: protections(config) }, 'protections')
  for (const { sentence } of weaknesses(config, platforms)) app.log.warn(sentence)
}, { name: 'polaris-config' })
