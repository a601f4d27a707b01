/** What sends exchanges to the workload: one kind for each HTTP that workloads speak. */
import type { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { errors } from 'undici'
import type { Exchange } from '../exchanges/exchange.ts'
import type { ResponseHeaders } from '../http/headers.ts'

export interface WorkloadRequest {
  readonly exchange: Exchange
  /** Emits 'abort' when the client is gone. */
  readonly signal: EventEmitter
  /** Trailers of the response can go on to the client. */
  readonly takesTrailers: boolean
}

export interface WorkloadResponse {
  readonly statusCode: number
  readonly headers: ResponseHeaders
  /** Errors unless all of it came. */
  readonly body: Readable
  /** To be called once all of the body was read. As they came. */
  readonly trailers: () => ResponseHeaders
}

/** Errors are undici's, whatever the client, or the system's. */
export type WorkloadCallback = (error: Error | null, response?: WorkloadResponse) => void

export interface WorkloadClient {
  /** Calls back once: with a response, or with what went wrong before it. */
  send (request: WorkloadRequest, callback: WorkloadCallback): void
  /** Connections, and how many of them nothing is on. */
  readonly stats: { readonly connected: number, readonly free: number }
  close (): Promise<void>
}

/** In milliseconds; 0 is for ever. */
export interface WorkloadTimeouts {
  readonly connectTimeout: number
  readonly headersTimeout: number
  readonly idleTimeout: number
}

/** Response headers of the workload that are larger are refused. */
export const MAX_RESPONSE_HEADER_BYTES = 64 * 1024
/** RFC 9110, section 15: there are five classes of status codes. */
export const MAX_STATUS = 599
/** More interim responses than any workload has to say. */
const MAX_INTERIM = 100

/** An answer that is none, as undici's parser reports it. */
export function invalidResponse (): Error {
  return Object.assign(new errors.HTTPParserError('Not a response'), { code: 'HPE_INVALID_RESPONSE' })
}

/**
 * Limits interim responses. A timeout for response headers begins again with each of them in undici, and would never
 * end; this one does not.
 */
export function limitInterim (
  headersTimeout: number, giveUp: (reason: Error) => void
): { next: () => void, end: () => void } {
  let count = 0
  let timer: NodeJS.Timeout | undefined
  return {
    next () {
      if (++count > MAX_INTERIM) giveUp(invalidResponse())
      else if (headersTimeout > 0) timer ??= setTimeout(giveUp, headersTimeout, new errors.HeadersTimeoutError())
    },
    end: () => clearTimeout(timer)
  }
}
