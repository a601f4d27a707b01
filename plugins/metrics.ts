/** polaris.metrics: counts what passes, if metrics are on. Other plugins ask it to count. */
import fp from 'fastify-plugin'
import { versions } from '../lib/config/version.ts'
import { createAccessLog } from '../lib/metrics/access-log.ts'
import { createExchangeMeter } from '../lib/metrics/exchanges.ts'
import { createMeter } from '../lib/metrics/meter.ts'
import type { Meter } from '../lib/metrics/meter.ts'
import { Passage } from '../lib/metrics/passage.ts'
import type { Observer } from '../lib/metrics/passage.ts'
import { watchProcess } from '../lib/metrics/process.ts'
import { describeError } from '../lib/http/describe-error.ts'
import { createWireCounter } from '../lib/http/wire-bytes.ts'
import { provide } from '../lib/polaris.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly metrics: Metrics
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null if metrics are off. */
    passage: Passage | null
  }
}

export interface Metrics {
  readonly meter: Meter
  /** Requests have a passage: an observer is told how they went. */
  readonly observes: boolean
  /** False: numbers are not asked for, so that only what costs nothing is kept. */
  readonly isOn: boolean
  /** What this process is called in labels. */
  readonly worker: string
  /** Another process has the keys, and counts what becomes of them. */
  readonly isMember: boolean
}

export interface MetricsPluginOptions {
  /** The number of this worker, if it is one of several: what it is called in labels. Default: `1`. */
  readonly worker?: string
}

export default fp<MetricsPluginOptions>(async function metrics (app, options) {
  const { config } = app.polaris
  const meter = createMeter()
  const isOn = config.adminAddress !== undefined
  const worker = options.worker ?? '1'
  const observers: Observer[] = []
  if (isOn) observers.push(createExchangeMeter(meter))
  if (config.accessLog) observers.push(createAccessLog(app.log))
  if (config.otlpEndpoint !== undefined) observers.push(await exportSpans(config.otlpEndpoint))
  provide(
    app.polaris, 'metrics',
    { meter, isOn, worker, isMember: options.worker !== undefined, observes: observers.length > 0 }
  )
  app.decorateRequest('passage', null)

  const watched = watchProcess(meter, worker, isOn)
  app.addHook('onClose', async () => watched.close())
  if (observers.length === 0) return

  const countBytes = createWireCounter()
  const onGap = observers.find(observer => observer.onGap !== undefined)?.onGap
  // The first hook: nothing was looked at yet.
  app.addHook('onRequest', (request, { raw: response }, done) => {
    const { raw } = request
    // Kept: a request that undici gave up on is detached from it.
    const { socket } = raw
    const passage = new Passage({ requestId: request.id, onGap })
    request.passage = passage
    for (const { begin } of observers) begin?.()
    raw.once('end', () => passage.reached('arrived'))
    response.once('close', () => {
      const ending = {
        ended: performance.now(),
        statusClass: response.headersSent ? Math.floor(response.statusCode / 100) : 0,
        isComplete: response.writableFinished,
        ...countBytes(socket)
      }
      for (const observer of observers) observer.end(passage, ending)
    })
    done()
  })

  async function exportSpans (endpoint: string): Promise<Observer> {
    const { createSpanExport } = await import('../lib/metrics/spans.ts')
    const spans = createSpanExport({ endpoint, version: versions.version })
    app.addHook('onClose', async () => {
      await spans.close().catch(
        (error: unknown) => app.log.warn({ err: describeError(error) }, 'the last spans could not be sent')
      )
    })
    return spans
  }
}, { name: 'polaris-metrics', dependencies: ['polaris-config'] })
