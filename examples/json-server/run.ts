/**
 * Puts the proxy in front of json-server and uses all of it through encrypted axios. Exits 0 where everything holds.
 */
import fastify from 'fastify'
import polaris from '../../app.ts'
import { createEphemeralProvider } from '../../lib/platforms/local/ephemeral-keys.ts'
import { serverOptions } from '../../plugins/server/options.ts'
import { createClient, useEverything } from './client.ts'
import { startWorkload } from './workload.ts'

const workload = await startWorkload()

const keyProvider = createEphemeralProvider()
const app = fastify({ ...serverOptions, logger: false })
await app.register(polaris, {
  config: { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true },
  keyProvider
})
const proxyUrl = await app.listen({ host: '127.0.0.1', port: 0 })
await keyProvider.ready
console.log(`json-server listens on ${workload.url}, the proxy in front of it on ${proxyUrl}`)

try {
  await useEverything(createClient(proxyUrl), (claim, holds) => {
    console.log(`${holds ? '✓' : '✗'} ${claim}`)
    if (!holds) process.exitCode = 1
  })
} finally {
  app.server.closeAllConnections()
  await app.close()
  await workload.close()
}
