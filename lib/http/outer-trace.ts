/**
 * The trace context (W3C) of the outer request, for operators who want their network's traces to go on in the workload.
 * A client's own is inside of the encryption: the two are never mixed.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Exchange } from '../exchanges/exchange.ts'

const TRACEPARENT = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/
/** Printable ASCII; a sender need not pass on more than so many characters (section 3.3.1.5). */
const TRACESTATE = /^[\x20-\x7e]{1,512}$/

/** The exchange with the trace context of the outer request, if it has none of its own, and the outer one is valid. */
export function withOuterTrace (exchange: Exchange, { traceparent, tracestate }: IncomingHttpHeaders): Exchange {
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return exchange
  if (exchange.headers.some((name, i) => i % 2 === 0 && (name === 'traceparent' || name === 'tracestate'))) {
    return exchange
  }
  const state = typeof tracestate === 'string' && TRACESTATE.test(tracestate) ? ['tracestate', tracestate] : []
  return { ...exchange, headers: [...exchange.headers, 'traceparent', traceparent, ...state] }
}
