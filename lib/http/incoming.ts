/** What the openers of all protocols are given: a request as it arrived, before anything was opened. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Caller } from './caller.ts'

/** What is known of a request before its body is looked at. */
export interface OuterHead {
  readonly method: string
  readonly headers: IncomingHttpHeaders
}

export interface IncomingRequest extends OuterHead {
  /** The request target as it stood in the request line. */
  readonly target: string
  readonly rawHeaders: readonly string[]
  readonly caller: Caller
  /** The address that the request comes from: that of the caller, or what a trusted proxy says of it. */
  readonly clientAddress: () => string
  /** The body as it arrives; to be read only where `hasBody`. */
  readonly payload: Readable
  /** Fields behind the body, flat, as they came; there once the body was read. */
  readonly trailers: () => readonly string[]
  /** The `x-forwarded-*` headers for the workload; empty if the caller is not a trusted proxy. */
  readonly forwarding: () => string[]
}

/** Whether the framing announces a body (RFC 9112, section 6.3). */
export function hasBody ({ headers }: Pick<IncomingRequest, 'headers'>): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/** The announced length, where there is one. */
export function announcedLength ({ headers }: Pick<IncomingRequest, 'headers'>): number | undefined {
  return headers['content-length'] === undefined || headers['transfer-encoding'] !== undefined
    ? undefined
    : Number(headers['content-length'])
}
