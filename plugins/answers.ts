/**
 * polaris.answers: what settings have done to the workload's answers on their way to the client. Token counts are read,
 * and reported outside of the encryption.
 */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest, onSendAsyncHookHandler, onSendHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import type { Exchange } from '../lib/exchanges/exchange.ts'
import type { ProtocolName } from '../lib/exchanges/names.ts'
import { isEventStream } from '../lib/http/headers.ts'
import type { ResponseHeaders } from '../lib/http/headers.ts'
import type { Counter } from '../lib/metrics/meter.ts'
import { provide } from '../lib/polaris.ts'
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
  /** All of the answer was read. */
  isKnown: boolean
  found: Usage | undefined
  /** Called when it is. */
  onKnown: (() => void) | undefined
}

export default fp(async function answers (app) {
  const { config } = app.polaris
  app.decorateRequest('usage', null)
  provide(app.polaris, 'answers', config.usage === 'on' || config.usage === 'true' ? reportUsage() : NOTHING)

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
      const { statusCode } = reply
      const isContent = payload instanceof Readable && exchange.method !== 'HEAD' && statusCode !== 204
      const reader = isContent && statusCode >= 200 && statusCode < 300 ? createUsageReader(workloadHeaders) : undefined
      if (reader === undefined) return payload
      request.usage = usage
      const ended = (found: Usage | undefined) => {
        usage.isKnown = true
        usage.found = found
        if (found !== undefined) count(found, exchange.protocol)
        usage.onKnown?.()
      }
      const body = payload as Readable
      const whole = isEventStream(workloadHeaders) ? undefined : await arrivedSoon(body, lengthOf(workloadHeaders))
      if (whole === undefined) return watched(body, reader, ended)
      await reader.push(whole)
      ended(await reader.end())
      return whole
    }

    return {
      accept (request, given) {
        const { exchange, refused } = readRefusal(given)
        request.usage = { isRefused: refused, isKnown: false, found: undefined, onKnown: undefined }
        return exchange
      },
      opened: [read],
      sealed: [report]
    }
  }
}, { name: 'polaris-answers', dependencies: ['polaris-config', 'polaris-metrics'] })

function lengthOf ({ 'content-length': length }: ResponseHeaders): number | undefined {
  return typeof length === 'string' ? Number(length) : undefined
}

const NOTHING: Answers = { opened: [], sealed: [] }

/** As a header if all of the answer was read before its head leaves, as a trailer otherwise. */
function report (
  { usage, raw: request }: FastifyRequest, reply: FastifyReply, payload: unknown,
  done: (error: null, payload: unknown) => void
): void {
  // One of the workload's own would be taken for it.
  reply.removeHeader(USAGE_HEADER)
  if (usage?.isKnown === true && usage.found !== undefined) reply.header(USAGE_HEADER, formatUsage(usage.found))
  else if (usage?.isKnown === false && payload instanceof Readable && request.httpVersion !== '1.0') {
    const { raw } = reply
    reply.header('trailer', 'Polaris-Usage').removeHeader('content-length')
    usage.onKnown = () => {
      if (usage.found !== undefined) raw.addTrailers({ 'Polaris-Usage': formatUsage(usage.found) })
    }
  }
  done(null, payload)
}
