/** Starts the model, the proxy in front of it, and the chat. Open the address that it prints; Ctrl-C ends it. */
import closeWithGrace from 'close-with-grace'
import fastify from 'fastify'
import polaris from '../../app.ts'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { serverOptions } from '../../plugins/server/options.ts'
import { startSite } from './site.ts'
import { startWorkload } from './workload.ts'

const workload = await startWorkload()
// There is no TEE here. A real policy pins the software, and says neither "development" nor "simulated".
const attester = await simulated()
const app = fastify({ ...serverOptions, logger: false })
await app.register(polaris, { attester, config: { workloadBaseUrl: workload.url, enableInputEncryption: true } })
const baseURL = await app.listen({ host: '127.0.0.1', port: 0 })
const policy = { version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } } as const
const site = await startSite({ baseURL, policy })
console.log(`Open ${site.url}`)

closeWithGrace({ delay: false, logger: false }, async () => {
  app.server.closeAllConnections()
  await Promise.all([site.close(), app.close(), workload.close()])
})
