/**
 * Polaris Secure Proxy as a Fastify plugin: which plugins and routes it is made of, in which order.
 *
 * `fastify start app.ts` runs it; `app.register(polaris, { config: { workloadBaseUrl } })` puts it into your own app.
 */
import type { FastifyInstance } from 'fastify'
import admin from './plugins/admin.ts'
import type { AdminPluginOptions } from './plugins/admin.ts'
import answers from './plugins/answers.ts'
import attestation from './plugins/attestation.ts'
import type { AttestationPluginOptions } from './plugins/attestation.ts'
import config from './plugins/config.ts'
import type { ConfigPluginOptions } from './plugins/config.ts'
import cors from './plugins/server/cors.ts'
import openExchanges from './plugins/crypto.ts'
import type { ProtocolsPluginOptions } from './plugins/crypto.ts'
import errors from './plugins/server/errors.ts'
import hpke from './plugins/hpke.ts'
import type { HpkePluginOptions } from './plugins/hpke.ts'
import keys from './plugins/keys.ts'
import type { KeysPluginOptions } from './plugins/keys.ts'
import limits from './plugins/limits.ts'
import type { LimitsPluginOptions } from './plugins/limits.ts'
import metrics from './plugins/metrics.ts'
import type { MetricsPluginOptions } from './plugins/metrics.ts'
import replay from './plugins/replay.ts'
import type { ReplayPluginOptions } from './plugins/replay.ts'
import clientTimeouts from './plugins/server/client-timeouts.ts'
import gracefulStop from './plugins/server/graceful-stop.ts'
import httpSemantics from './plugins/server/http-semantics.ts'
import lingeringClose from './plugins/server/lingering-close.ts'
import tlsKeys from './plugins/server/tls-keys.ts'
import type { TlsKeysPluginOptions, TlsListenerPluginOptions } from './plugins/server/tls-keys.ts'
import tlsListener from './plugins/server/tls-listener.ts'
import tunnels from './plugins/tunnels.ts'
import requestLog from './plugins/server/request-log.ts'
import workload from './plugins/workload.ts'
import acmeChallenges from './routes/acme-challenges.ts'
import keyResources from './routes/key-resources.ts'
import proxy from './routes/proxy.ts'
import system from './routes/system/index.ts'

export { serverOptions as options } from './plugins/server/options.ts'

export interface PolarisOptions extends
  ConfigPluginOptions, MetricsPluginOptions, KeysPluginOptions, HpkePluginOptions, ReplayPluginOptions,
  ProtocolsPluginOptions, AttestationPluginOptions, AdminPluginOptions, LimitsPluginOptions,
  TlsKeysPluginOptions, TlsListenerPluginOptions {}

export default async function polaris (app: FastifyInstance, options: PolarisOptions) {
  // What the others stand on
  await app.register(config, options)
  await app.register(requestLog)
  await app.register(metrics, options)
  await app.register(gracefulStop)
  await app.register(lingeringClose)
  await app.register(errors)
  await app.register(cors)
  await app.register(httpSemantics)
  await app.register(clientTimeouts)

  // Capabilities, each a member of app.polaris
  await app.register(keys, options)
  await app.register(hpke, options)
  await app.register(replay, options)
  await app.register(limits, options)
  await app.register(openExchanges, options)
  await app.register(tlsKeys, options)
  await app.register(attestation, options)
  await app.register(workload)
  await app.register(answers)
  await app.register(tunnels)
  await app.register(admin, options)

  // The proxy's own endpoints, then everything else
  await app.register(system)
  await app.register(keyResources)
  await app.register(acmeChallenges)
  await app.register(proxy)

  // The last, so that the first to be closed: the exchanges on its connections need all of the others
  await app.register(tlsListener, options)
}
