/** The process: reads the configuration, listens, and stops with grace. */
import { availableParallelism } from 'node:os'
import closeWithGrace from 'close-with-grace'
import fastify from 'fastify'
import polaris from './app.ts'
import { ConfigError, loadConfig } from './lib/config.ts'
import type { Config } from './lib/config.ts'
import { serverOptions } from './lib/server-options.ts'
import { describeError } from './plugins/errors.ts'

// Private-key operations run in libuv's pool: one thread for each core, and some for everything else. Read at first use.
process.env['UV_THREADPOOL_SIZE'] ??= String(Math.max(4, availableParallelism() + 2))

const config = readConfig()
const app = fastify({ ...serverOptions, logger: config.enableLogging && { level: config.logLevel } })
// SIGHUP is no reason to stop: it renews keys.
closeWithGrace({ delay: false, logger: false, skip: ['SIGHUP'] }, async ({ err }) => {
  if (err) app.log.fatal({ err: describeError(err) }, 'stopping after an unexpected error')
  await stop()
})

await app.register(polaris)
await app.listen({ host: config.host, port: config.port })

function readConfig (): Config {
  try {
    return loadConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

/** The app says that it is not ready and goes on for STOP_DELAY; exchanges in flight finish, until the deadline. */
async function stop (): Promise<void> {
  app.log.info('stopping')
  const deadline = setTimeout(() => {
    app.log.warn('cutting off exchanges that did not finish in time')
    app.server.closeAllConnections()
  }, config.stopDelay + config.stopTimeout)
  await app.close()
  clearTimeout(deadline)
  app.log.info('stopped')
}
