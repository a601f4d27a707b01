/**
 * Puts the proxy in front of json-server and uses it through axios and the drop-in fetch. Exits 0 where everything
 * holds.
 */
import fastify from 'fastify'
import polaris from '../../app.ts'
import { serverOptions } from '../../plugins/server/options.ts'
import { useEverything } from '../json-server/client.ts'
import { startWorkload } from '../json-server/workload.ts'
import { createClient, stream } from './client.ts'

const workload = await startWorkload()

const app = fastify({ ...serverOptions, logger: false })
await app.register(polaris, { config: { workloadBaseUrl: workload.url, enableInputEncryption: true } })
const proxyUrl = await app.listen({ host: '127.0.0.1', port: 0 })
console.log(`json-server listens on ${workload.url}, the proxy in front of it on ${proxyUrl}`)

const check = (claim: string, holds: boolean) => {
  console.log(`${holds ? '✓' : '✗'} ${claim}`)
  if (!holds) process.exitCode = 1
}
try {
  const client = createClient(proxyUrl)
  await useEverything(client, check)
  await stream(client, check)
} finally {
  app.server.closeAllConnections()
  await app.close()
  await workload.close()
}
