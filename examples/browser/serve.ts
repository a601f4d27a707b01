/** Starts the workload, the proxy in front of it, and the page. Open the address that it prints; Ctrl-C ends it. */
import closeWithGrace from 'close-with-grace'
import fastify from 'fastify'
import polaris from '../../app.ts'
import { serverOptions } from '../../plugins/server/options.ts'
import { startSite } from './site.ts'
import { startWorkload } from './workload.ts'

const workload = await startWorkload()
const app = fastify({ ...serverOptions, logger: false })
await app.register(polaris, { config: { workloadBaseUrl: workload.url, enableInputEncryption: true } })
const proxyUrl = await app.listen({ host: '127.0.0.1', port: 0 })
const site = await startSite()
console.log(`Open ${site.url}/?proxy=${proxyUrl}`)

closeWithGrace({ delay: false, logger: false }, async () => {
  app.server.closeAllConnections()
  await Promise.all([site.close(), app.close(), workload.close()])
})
