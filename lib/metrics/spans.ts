/**
 * Exchanges as spans, for a collector that speaks OTLP: an observer of passages. A span has the labels of metrics and
 * nothing else, and is the root of a trace: which trace a client speaks of inside its request is not for the collector.
 * The libraries are loaded only if there is a collector.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Context, Tracer } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { withoutTrailingSlashes } from '../protocols/trailing-slashes.ts'
import type { Observer, Passage } from './passage.ts'

export interface SpanExport extends Observer {
  /** Sends what is left, and ends. */
  close (): Promise<void>
}

export interface SpanOptions {
  /** Base URL of the collector: spans are POSTed to `/v1/traces` below it. */
  readonly endpoint: string
  readonly version: string
}

/** Spans that wait for the collector. More are dropped: a collector that is down must not cost memory. */
const MAX_WAITING = 2048
const EXPORT_TIMEOUT_MS = 10_000
const INTERVAL_MS = 5000

export function createSpanExport ({ endpoint, version }: SpanOptions): SpanExport {
  const exporter = new OTLPTraceExporter(
    { url: `${withoutTrailingSlashes(endpoint)}/v1/traces`, timeoutMillis: EXPORT_TIMEOUT_MS }
  )
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'polaris-secure-proxy', 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor(
      { exporter, maxQueueSize: MAX_WAITING, scheduledDelayMillis: INTERVAL_MS, exportTimeoutMillis: EXPORT_TIMEOUT_MS }
    )]
  })
  const tracer = provider.getTracer('polaris-secure-proxy', version)
  return {
    end (passage, { ended, statusClass, isComplete }) {
      const { protocol, problem, begun } = passage
      if (protocol === 'none') return
      const span = tracer.startSpan('exchange', {
        kind: SpanKind.SERVER,
        startTime: timeOf(begun),
        attributes: {
          'polaris.protocol': protocol,
          'polaris.status_class': statusClass === 0 ? 'none' : `${statusClass}xx`,
          ...problem !== undefined && { 'polaris.problem': problem }
        }
      }, ROOT_CONTEXT)
      if (!isComplete || statusClass === 5) span.setStatus({ code: SpanStatusCode.ERROR })
      tellStages(tracer, passage, trace.setSpan(ROOT_CONTEXT, span), ended)
      span.end(timeOf(ended))
    },
    close: () => provider.shutdown()
  }
}

function tellStages (
  tracer: Tracer, { protocol, begun, opened, forwarded, answered, sealing, responded }: Passage, parent: Context,
  ended: number
): void {
  const tell = (name: string, from: number, to: number, kind = SpanKind.INTERNAL) => {
    if (from === 0) return
    const attributes = { 'polaris.protocol': protocol }
    tracer.startSpan(name, { kind, startTime: timeOf(from), attributes }, parent).end(timeOf(to === 0 ? ended : to))
  }
  if (opened !== 0) tell('open', begun, opened)
  tell('workload', forwarded, answered, SpanKind.CLIENT)
  tell('seal', sealing, responded)
}

/** Milliseconds since 1970. */
function timeOf (time: number): number {
  return performance.timeOrigin + time
}
