/** What the openers of all protocols are given: a request as it arrived, before anything was opened. */
import type { IncomingHttpHeaders } from 'node:http'
import { posix } from 'node:path'
import type { Readable } from 'node:stream'
import type { Caller } from './headers.ts'
import { Problem } from './problems.ts'

/** The proxy's own endpoints are at and below this path. */
export const SYSTEM_PREFIX = '/polaris-container'

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

/** Whether a target names one of the proxy's own endpoints, however it is spelled: those are never forwarded. */
export function isSystemTarget (target: string): boolean {
  if (!target.includes('%') && !target.includes(SYSTEM_PREFIX)) return false
  const [path = ''] = target.split('?', 1)
  // Octet by octet, since what is not valid UTF-8 elsewhere in the path must not hide it.
  const decoded = path.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return [decoded, posix.normalize(decoded)].some(path => path === SYSTEM_PREFIX || path.startsWith(`${SYSTEM_PREFIX}/`))
}
