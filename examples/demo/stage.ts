/** What every chapter plays on: the workload, the proxy in front of it, and a tap on the wire in front of that. */
import fastify from 'fastify'
import polaris from '../../app.ts'
import { createEphemeralProvider } from '../../lib/platforms/local/ephemeral-keys.ts'
import { serverOptions } from '../../plugins/server/options.ts'
import { startWire } from './wire.ts'
import type { Wire } from './wire.ts'
import { startWorkload } from './workload.ts'
import type { Received, Workload } from './workload.ts'

export interface Stage {
  readonly workload: Workload
  /** The proxy's own address. */
  readonly proxyUrl: string
  /** In front of the proxy: clients that are to be observed connect to `wire.url`. */
  readonly wire: Wire
  close (): Promise<void>
}

export async function setStage (onRequest?: (received: Received) => void): Promise<Stage> {
  const workload = await startWorkload(onRequest)

  // In production `npm start` or the container does this, and the settings are environment variables.
  const keyProvider = createEphemeralProvider()
  const app = fastify({ ...serverOptions, logger: false })
  await app.register(polaris, {
    config: { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true },
    keyProvider
  })
  const proxyUrl = await app.listen({ host: '127.0.0.1', port: 0 })
  await keyProvider.ready

  const wire = await startWire(proxyUrl)
  return {
    workload,
    proxyUrl,
    wire,
    async close () {
      await wire.close()
      app.server.closeAllConnections()
      await app.close()
      await workload.close()
    }
  }
}
