/** polaris.config: the settings, from the plugin's options or the environment. Starts the shared decorator. */
import fp from 'fastify-plugin'
import { configFrom, loadConfig, protections, unknownVariables, weaknesses } from '../lib/config/config.ts'
import type { Config, ConfigInput } from '../lib/config/config.ts'
import type { Polaris } from '../lib/polaris.ts'
import { createReadiness } from '../lib/http/readiness.ts'
import type { Readiness } from '../lib/http/readiness.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly config: Config
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
  config?: ConfigInput
}

export default fp<ConfigPluginOptions>(async function config (app, options) {
  const config = options.config === undefined ? loadConfig(process.env) : configFrom(options.config)
  const readiness = createReadiness()
  app.decorate('polaris', { config, readiness } as Polaris)

  if (options.config === undefined) for (const warning of unknownVariables(process.env)) app.log.warn(warning)
  app.log.info({ protections: protections(config) }, 'protections')
  for (const weakness of weaknesses(config)) app.log.warn(weakness)
}, { name: 'polaris-config' })
