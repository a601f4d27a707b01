/** Tells operators what the proxy counts: on a listener of its own, or by way of the process that started this one. */
import fp from 'fastify-plugin'
import type { Admin } from '../lib/admin/server.ts'
import {
  watchBuffers, watchCertificates, watchConnections, watchEvidence, watchKeys, watchStore
} from '../lib/metrics/gauges.ts'
import { reportOf } from '../lib/metrics/report.ts'
import type { Report } from '../lib/metrics/report.ts'
import { versions } from '../lib/config/version.ts'

export interface AdminPluginOptions {
  /** Is given what tells how this process is. */
  readonly reportTo?: (report: () => Promise<Report>) => void
}

export default fp<AdminPluginOptions>(async function admin (app, { reportTo }) {
  const {
    attestation, config, exchanges, hpke, keys, messages, metrics: { isMember, meter, worker }, readiness, replay,
    tls, workload
  } = app.polaris
  watchKeys(meter, keys, config.enableOhttp || config.enableEhbp ? hpke : undefined, config.hpkeRotation)
  watchEvidence(meter, attestation.type, () => attestation.status())
  if (config.enableOhttp || config.enableEhbp) watchStore(meter, 'requests', replay)
  if (tls?.certificates !== undefined) watchCertificates(meter, tls.certificates)
  if (messages !== undefined) watchStore(meter, 'v1-messages', messages)
  watchBuffers(meter, exchanges.budget, config.maxBufferedBytes)
  watchConnections(meter, () => workload.connections())

  meter.watch(put => put('build', [versions.version, versions.node], 1))

  const report = () => reportOf(meter, () => readiness.reasons(), worker)
  reportTo?.(report)
  // Workers are asked by the process that started them, which listens.
  if (config.adminAddress === undefined || isMember) return
  const { adminAddress } = config
  let listening: Admin | undefined
  app.addHook('onReady', async () => {
    // Loaded only if it is used, as is the library that writes the page.
    const { startAdmin } = await import('../lib/admin/server.ts')
    listening = await startAdmin(adminAddress, report)
    app.log.info({ address: listening.address }, 'admin endpoints')
  })
  app.addHook('onClose', async () => listening?.close())
}, {
  name: 'polaris-admin',
  dependencies: ['polaris-metrics', 'polaris-attestation', 'polaris-exchanges', 'polaris-workload']
})
