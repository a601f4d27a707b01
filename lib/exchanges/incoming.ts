/** What the openers of all protocols are given: a request as it arrived, before anything was opened. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { Problem } from '../problems.ts'

export interface IncomingRequest {
  readonly method: string
  /** The request target as it stood in the request line. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  /** The body as it arrives; to be read only where `hasBody`. */
  readonly payload: Readable
  /** The `x-forwarded-*` headers for the workload; empty where the caller is not a trusted proxy. */
  readonly forwarding: () => string[]
}

/** Whether the framing announces a body (RFC 9112, section 6.3). */
export function hasBody ({ headers }: Pick<IncomingRequest, 'headers'>): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/** The announced length, where there is one. */
export function announcedLength ({ headers }: Pick<IncomingRequest, 'headers'>): number | undefined {
  return headers['content-length'] === undefined || headers['transfer-encoding'] !== undefined ? undefined : Number(headers['content-length'])
}

const ORIGIN_FORM = /^\/[\x21-\x7e]*$/

/**
 * The origin-form (RFC 9112, section 3.2.1) of a target: byte for byte, but for a fragment, which does not belong on
 * the wire.
 *
 * @throws {Problem} bad-request
 */
export function originForm (target: string): string {
  const hash = target.indexOf('#')
  const cut = hash === -1 ? target : target.slice(0, hash)
  if (!ORIGIN_FORM.test(cut)) throw new Problem('bad-request')
  return cut
}
