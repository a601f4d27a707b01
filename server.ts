/** The process: reads the configuration, serves or starts workers that do, and stops with grace. */
import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import closeWithGrace from 'close-with-grace'
import fastify from 'fastify'
import type { FastifyBaseLogger } from 'fastify'
import { pino } from 'pino'
import polaris from './app.ts'
import type { PolarisOptions } from './app.ts'
import { healthOf } from './lib/admin/health.ts'
import { ConfigError, loadConfig } from './lib/config/config.ts'
import type { Config } from './lib/config/config.ts'
import { quietEnvironment } from './lib/config/quiet-environment.ts'
import { anyAddress, evidenceProblems, keyProblems, listenError } from './lib/config/start.ts'
import { unknownVariables } from './lib/config/unknown.ts'
import { versions } from './lib/config/version.ts'
import { configOfWorker } from './lib/config/worker-share.ts'
import { describeError } from './lib/http/describe-error.ts'
import type { Report } from './lib/metrics/report.ts'
import { serverOptions } from './plugins/server/options.ts'

// Private-key operations run in libuv's pool: one thread for each core, and some for everything else. Read at first
// use.
process.env['UV_THREADPOOL_SIZE'] ??= String(Math.max(4, availableParallelism() + 2))

// Before the libraries that read them are loaded: key and replay stores are, where they are used.
const { removed, nodeDebugs } = quietEnvironment(process.env)
const config = readConfig()
const log: FastifyBaseLogger = pino({ level: config.enableLogging ? config.logLevel : 'silent' })
const workers = config.workers === 'auto' ? availableParallelism() : Number(config.workers)

if (removed.length > 0) {
  log.warn({ variables: removed }, 'ignoring variables that would make libraries write tokens to standard error')
}
if (nodeDebugs) log.warn('NODE_DEBUG is set: Node writes parts of opened requests to standard error')

let stop: () => Promise<void> = async () => undefined
/** How all of it is, once there is something to ask. */
let report: (() => Promise<Report>) | undefined
// SIGHUP is no reason to stop: it renews keys. Workers stop when the primary says so: a signal that reaches the whole
// process group, as from a terminal or systemd, would otherwise reach them twice, and the second ends them at once.
const ignored: ('SIGHUP' | 'SIGINT' | 'SIGTERM')[] = cluster.isWorker ? ['SIGHUP', 'SIGINT', 'SIGTERM'] : ['SIGHUP']
for (const signal of ignored) process.on(signal, () => undefined)
// Left alone, it would be the end of a worker, too.
process.on('SIGUSR2', cluster.isWorker ? () => undefined : tellHealth)
const { close } = closeWithGrace({ delay: false, logger: false, skip: [...ignored, 'SIGUSR2'] }, async ({ err }) => {
  if (err) log.fatal({ err: describeError(err) }, 'stopping after an unexpected error')
  log.info('stopping')
  await stop()
  log.info('stopped')
})

if (cluster.isPrimary) for (const warning of unknownVariables(process.env)) log.warn(warning)
try {
  const problems = cluster.isPrimary ? [...await keyProblems(config), ...await evidenceProblems(config)] : []
  if (problems.length > 0) throw new ConfigError(problems)
  if (workers > 1 && cluster.isPrimary) await supervise()
  else await serve()
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  await refuse(error)
}

function readConfig (): Config {
  try {
    return loadConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

/** Ends the process before it serves, with the list of what is wrong: said once, by the primary where there is one. */
async function refuse (error: ConfigError): Promise<never> {
  if (cluster.isWorker) await (await import('./lib/workers/member.ts')).reportProblems(error.problems)
  else process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

async function supervise (): Promise<void> {
  const { maxBodyBytes: largest } = configOfWorker(config, workers)
  if (largest < config.maxBodyBytes) {
    log.warn(
      { bytes: largest }, 'the largest body is that of a worker\'s share of POLARIS_CONTAINER_MAX_BUFFERED_BYTES'
    )
  }
  const { startPrimary } = await import('./lib/workers/primary.ts')
  ;({ report, stop } = await startPrimary(config, workers, log, problems => refuse(new ConfigError(problems))))
}

function reportTo (answer: () => Promise<Report>): void {
  report = answer
}

/** One line for an operator who can reach nothing but the log. */
function tellHealth (): void {
  report?.().then(
    found => log.info({ health: healthOf(found, versions) }, 'health'),
    error => log.error({ err: describeError(error) }, 'health could not be read'))
}

async function serve (): Promise<void> {
  const app = fastify({ ...serverOptions, loggerInstance: log })
  // The app says that it is not ready and goes on for STOP_DELAY; exchanges in flight finish, until the deadline.
  stop = async () => {
    const deadline = setTimeout(() => {
      log.warn('cutting off exchanges that did not finish in time')
      app.server.closeAllConnections()
    }, config.stopDelay + config.stopTimeout)
    await app.close()
    clearTimeout(deadline)
  }
  await app.register(polaris, cluster.isWorker
    ? { config: configOfWorker(config, workers), ...await memberOptions() }
    : { config, reportTo })
  await app.ready()
  if (config.port === 'off') return
  try {
    await app.listen({ host: config.host ?? await anyAddress(), port: config.port })
  } catch (error) {
    throw listenError(error, config)
  }
}

/**
 * What a worker has of its primary. What is remembered in memory, is remembered there; a shared store each worker asks
 * for itself. The messages of an ephemeral key are never in a shared store: no other process has the key.
 */
async function memberOptions (): Promise<PolarisOptions> {
  const { joinPrimary } = await import('./lib/workers/member.ts')
  const {
    keyProvider, epochSecrets, replayStore, messageMemory, limiter, counts, worker, reportTo, tlsSecrets, ticketKeys,
    acme
  } = await joinPrimary(close)
  const inMemory = config.replayStore === 'memory'
  return {
    keyProvider,
    worker,
    reportTo,
    limiter,
    counts,
    ...epochSecrets && { epochSecrets },
    ...tlsSecrets && { tlsSecrets },
    ...ticketKeys && { ticketKeys },
    ...acme && { acme },
    ...inMemory && { replayStore },
    ...(inMemory || config.keyType === 'ephemeral') && { messageMemory }
  }
}
