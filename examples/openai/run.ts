/**
 * Puts the proxy in front of an OpenAI-compatible server and uses it through the `openai` package. Exits 0 where
 * everything holds.
 */
import fastify from 'fastify'
import polaris from '../../app.ts'
import { serverOptions } from '../../plugins/server/options.ts'
import { useEverything } from './client.ts'
import { startWorkload } from './workload.ts'

const workload = await startWorkload()

const app = fastify({ ...serverOptions, logger: false })
await app.register(polaris, { config: { workloadBaseUrl: workload.url, enableInputEncryption: true } })
const proxyUrl = await app.listen({ host: '127.0.0.1', port: 0 })
console.log(`The OpenAI-compatible server listens on ${workload.url}, the proxy in front of it on ${proxyUrl}`)

try {
  await useEverything(proxyUrl, (claim, holds) => {
    console.log(`${holds ? '✓' : '✗'} ${claim}`)
    if (!holds) process.exitCode = 1
  })
} finally {
  app.server.closeAllConnections()
  await app.close()
  await workload.close()
}
