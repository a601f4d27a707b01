/**
 * polaris.answers: what settings have done to the workload's answers on their way to the client. Token counts are read,
 * and reported outside of the encryption. Event streams are shaped, so that their pieces tell less.
 */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest, onSendAsyncHookHandler, onSendHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { parseShaping } from '../lib/config/settings/formats.ts'
import type { Shaping } from '../lib/config/settings/formats.ts'
import type { Exchange } from '../lib/exchanges/exchange.ts'
import type { ProtocolName } from '../lib/exchanges/names.ts'
import { isEventStream } from '../lib/http/headers.ts'
import type { ResponseHeaders } from '../lib/http/headers.ts'
import { Problem } from '../lib/http/problems.ts'
import { addTrailers } from '../lib/trailers/trailers.ts'
import type { Counter } from '../lib/metrics/meter.ts'
import { provide } from '../lib/polaris.ts'
import { shapeStream } from '../lib/shaping/stream.ts'
import { decode, decodersFor } from '../lib/streams/codings.ts'
import { formatUsage } from '../lib/usage/counts.ts'
import type { Usage } from '../lib/usage/counts.ts'
import { createUsageReader } from '../lib/usage/reader.ts'
import { USAGE_HEADER, readRefusal } from '../lib/usage/refusal.ts'
import { arrivedSoon, watched } from '../lib/usage/watch.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly answers: Answers
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What is known of the usage of the answer; null if it is not read. */
    usage: UsageReport | null
  }
}

export interface Answers {
  /** What an exchange is forwarded as. Undefined: as it is. */
  readonly accept?: (request: FastifyRequest, exchange: Exchange) => Exchange
  /** Hooks in front of what seals an answer, and behind it. */
  readonly opened: readonly onSendAsyncHookHandler[]
  readonly sealed: readonly onSendHookHandler[]
}

interface UsageReport {
  isRefused: boolean
  /** The answer leaves as it comes, and before it was read. */
  isStreamed: boolean
  /** All of the answer was read. */
  isKnown: boolean
  found: Usage | undefined
  /** Called when it is. */
  onKnown: (() => void) | undefined
}

export default fp(async function answers (app) {
  const { config } = app.polaris
  app.decorateRequest('usage', null)
  const usage = config.usage === 'on' || config.usage === 'true' ? reportUsage() : NOTHING
  const shaping = parseShaping(config.streamShaping)
  provide(app.polaris, 'answers', shaping === undefined
    ? usage
    // Behind the reader, which need not see what is filled up.
    : { ...usage, opened: [...usage.opened, createShaping(shaping)] })

  function reportUsage (): Answers {
    const counters = new Map<ProtocolName, { answers: Counter, input: Counter, output: Counter }>()

    function count ({ input, output }: Usage, protocol: ProtocolName): void {
      let of = counters.get(protocol)
      if (of === undefined) {
        const { meter } = app.polaris.metrics
        of = {
          answers: meter.counter('usageAnswers', protocol),
          input: meter.counter('usageTokens', protocol, 'input'),
          output: meter.counter('usageTokens', protocol, 'output')
        }
        counters.set(protocol, of)
      }
      of.answers.add()
      of.input.add(input)
      of.output.add(output)
    }

    /** Only successes have usage. */
    async function read (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
      const { usage, workloadHeaders, exchange } = request
      // Of an answer that took the place of another.
      if (usage !== null) reply.removeHeader('trailer')
      request.usage = null
      if (usage?.isRefused !== false || exchange === null || workloadHeaders === null) return payload
      if (!isContent(payload, exchange, reply) || reply.statusCode < 200 || reply.statusCode > 299) return payload
      const reader = createUsageReader(workloadHeaders)
      if (reader === undefined) return payload
      request.usage = usage
      const ended = (found: Usage | undefined) => {
        usage.isKnown = true
        usage.found = found
        if (found !== undefined) count(found, exchange.protocol)
        usage.onKnown?.()
      }
      const whole = isEventStream(workloadHeaders) ? undefined : await arrivedSoon(payload, lengthOf(workloadHeaders))
      if (whole === undefined) {
        usage.isStreamed = exchange.seal === undefined || exchange.showsPieces === true
        return watched(payload, reader, ended)
      }
      await reader.push(whole)
      ended(await reader.end())
      return whole
    }

    return {
      accept (request, given) {
        const { exchange, refused } = readRefusal(given)
        request.usage = {
          isRefused: refused, isStreamed: false, isKnown: false, found: undefined, onKnown: undefined
        }
        return exchange
      },
      opened: [read],
      sealed: [report]
    }
  }
}, { name: 'polaris-answers', dependencies: ['polaris-config', 'polaris-metrics'] })

function isContent (payload: unknown, { method }: Exchange, { statusCode }: FastifyReply): payload is Readable {
  return payload instanceof Readable && method !== 'HEAD' && statusCode !== 204 && statusCode !== 304
}

/** Shapes the event streams whose pieces would show. They are decoded for that, as comments are lines of text. */
function createShaping (shaping: Shaping): onSendAsyncHookHandler {
  return async (request, reply, payload: unknown) => {
    const { exchange, workloadHeaders } = request
    if (exchange?.showsPieces !== true || workloadHeaders === null || !isEventStream(workloadHeaders)) return payload
    if (!isContent(payload, exchange, reply)) return payload
    try {
      const body = decodedBody(payload, workloadHeaders)
      const { 'content-length': _, 'content-encoding': _coding, ...headers } = workloadHeaders
      request.workloadHeaders = headers
      // A decoder that waits for more would not notice that it is not wanted any more.
      return shapeStream(body, shaping).once('close', () => payload.destroy())
    } catch (error) {
      // The answer to that is not the workload's.
      request.workloadHeaders = null
      payload.once('error', error => request.log.debug({ err: error }, 'response given up')).destroy()
      throw error
    }
  }
}

/** @throws {Problem} upstream-invalid, if the proxy does not know its coding */
function decodedBody (payload: Readable, headers: ResponseHeaders): Readable {
  const decoders = decodersFor(headers)
  if (decoders === undefined) throw new Problem('upstream-invalid')
  if (decoders.length === 0) return payload
  return Readable.from(decode(payload, decoders), { objectMode: false })
}

function lengthOf ({ 'content-length': length }: ResponseHeaders): number | undefined {
  return typeof length === 'string' ? Number(length) : undefined
}

const NOTHING: Answers = { opened: [], sealed: [] }

/** As a header if all of the answer was read before its head leaves, as a trailer if it streams. */
function report (
  { usage, raw: request }: FastifyRequest, reply: FastifyReply, payload: unknown,
  done: (error: null, payload: unknown) => void
): void {
  // One of the workload's own would be taken for it.
  reply.removeHeader(USAGE_HEADER)
  if (usage?.isStreamed !== true) {
    if (usage?.found !== undefined) reply.header(USAGE_HEADER, formatUsage(usage.found))
  } else if (payload instanceof Readable && request.httpVersion !== '1.0') {
    const { raw } = reply
    reply.header('trailer', 'Polaris-Usage').removeHeader('content-length')
    usage.onKnown = () => {
      if (usage.found !== undefined) addTrailers(raw, [['Polaris-Usage', formatUsage(usage.found)]])
    }
    if (usage.isKnown) usage.onKnown()
  }
  done(null, payload)
}
