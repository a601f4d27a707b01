/** HTTP/1.1 to the workload, with TLS or without: undici's pool. */
import type { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import { Pool } from 'undici'
import type { Dispatcher } from 'undici'
import type { Exchange } from '../exchanges/exchange.ts'
import type { ResponseHeaders } from '../http/headers.ts'
import { HIGH_WATER_MARK } from '../streams/convert.ts'
import type { WorkloadAddress } from './address.ts'
import { MAX_RESPONSE_HEADER_BYTES, MAX_STATUS, invalidResponse, limitInterim } from './client.ts'
import type { WorkloadClient, WorkloadTimeouts } from './client.ts'
import { createWorkloadConnector } from './connector.ts'

/**
 * How long an idle connection is kept where the workload does not say how long it keeps it. Two seconds are not
 * unusual, and a request that meets a connection just being closed is lost: it may have been processed, so it is not
 * sent again.
 */
const KEEP_ALIVE = 1000

export interface Http1Options extends WorkloadTimeouts {
  readonly connections: number
  /** Of certificates. */
  readonly verify: boolean
}

export function createHttp1Client (
  { url, basePath }: WorkloadAddress, { connections, verify, connectTimeout, headersTimeout, idleTimeout }: Http1Options
): WorkloadClient {
  const pool = new Pool(url.origin, {
    connections,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE,
    headersTimeout,
    bodyTimeout: idleTimeout,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    connect: createWorkloadConnector({ timeout: connectTimeout, rejectUnauthorized: verify })
  })
  return {
    send ({ exchange, signal }, callback) {
      const interim = limitInterim(headersTimeout, reason => abort(signal, reason))
      pool.request({
        path: basePath + exchange.target,
        method: exchange.method as Dispatcher.HttpMethod,
        headers: framed(exchange),
        body: exchange.body ?? null,
        // A workload that takes no notice of such a body must not take it for the next request.
        ...exchange.body !== undefined && (exchange.method === 'GET' || exchange.method === 'HEAD') && { reset: true },
        highWaterMark: HIGH_WATER_MARK,
        signal,
        onInfo: interim.next
      }, (error, response) => {
        interim.end()
        if (error) return callback(error)
        const { statusCode, headers, body } = response
        const trailers = () => response.trailers as ResponseHeaders
        if (statusCode > MAX_STATUS || isCoded(headers)) {
          // reply-from would refuse the status too, but leave the body, and with it the connection, hanging.
          body.once('error', () => callback(invalidResponse())).destroy()
        } else if (statusCode === 304) {
          // It has no body, but may tell the length that one would have: undici then misses the body.
          body.once('error', () => undefined).resume()
          callback(null, { statusCode, headers, body: Readable.from([]), trailers })
        } else callback(null, { statusCode, headers, body, trailers })
      })
    },
    get stats () { return pool.stats },
    close: () => pool.close()
  }
}

function abort (signal: EventEmitter & { reason?: Error }, reason: Error): void {
  signal.reason = reason
  signal.emit('abort')
}

/** undici undoes chunks, and no other transfer coding: without its name, what is left would be taken for content. */
function isCoded ({ 'transfer-encoding': codings }: ResponseHeaders): boolean {
  return codings !== undefined && String(codings).trim().toLowerCase() !== 'chunked'
}

/** A body whose length is known is framed by it, any other by chunks. */
function framed ({ headers, body, bodyLength }: Exchange): string[] {
  if (!(body instanceof Readable) || bodyLength === undefined) return headers as string[]
  return [...headers, 'content-length', String(bodyLength)]
}
