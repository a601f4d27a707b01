/**
 * The log of a request, made when it first logs: most requests log nothing, and making one takes as long as finding a
 * route.
 */
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'

type LogFn = FastifyBaseLogger['info']
type Args = Parameters<LogFn>

class RequestLog implements FastifyBaseLogger {
  readonly #make: () => FastifyBaseLogger
  #made: FastifyBaseLogger | undefined

  constructor (make: () => FastifyBaseLogger) {
    this.#make = make
  }

  get #log (): FastifyBaseLogger {
    this.#made ??= this.#make()
    return this.#made
  }

  get level (): string { return this.#log.level }
  set level (level: string) { this.#log.level = level }

  child (...args: Parameters<FastifyBaseLogger['child']>): FastifyBaseLogger { return this.#log.child(...args) }
  fatal (...args: Args): void { this.#log.fatal(...args) }
  error (...args: Args): void { this.#log.error(...args) }
  warn (...args: Args): void { this.#log.warn(...args) }
  info (...args: Args): void { this.#log.info(...args) }
  debug (...args: Args): void { this.#log.debug(...args) }
  trace (...args: Args): void { this.#log.trace(...args) }
  silent (...args: Args): void { this.#log.silent(...args) }
}

export default fp(async function requestLog (app) {
  app.setChildLoggerFactory((logger, bindings, options) => new RequestLog(() => logger.child(bindings, options)))
}, { name: 'polaris-request-log' })
