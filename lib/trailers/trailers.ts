/**
 * Fields behind a body, in either direction: which cross the proxy, and to whom. Those of encrypted messages are read
 * and dropped.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { isForwardingHeader } from '../http/caller.ts'
import { HOP_BY_HOP } from '../http/headers.ts'
import type { ResponseHeaders } from '../http/headers.ts'

/**
 * RFC 9110, section 6.5.1: what frames, routes, authenticates or says how to read a message means nothing behind it,
 * and to some servers too much.
 */
const HEADERS_ONLY = new Set([
  'age', 'authorization', 'cache-control', 'content-encoding', 'content-range', 'content-type', 'cookie', 'date',
  'expires', 'host', 'location', 'max-forwards', 'pragma', 'range', 'retry-after', 'set-cookie', 'vary', 'warning',
  'www-authenticate'
])
const HEADERS_ONLY_PREFIX = /^(?:access-control-|if-|polaris-|proxy-|sec-)/

/** The trailers of a request that arrived unencrypted, as a flat list. @param own the proxy's own headers */
export function requestTrailers (raw: readonly string[], own: ReadonlySet<string>): string[] {
  const list: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name, value] = [raw[i]!.toLowerCase(), raw[i + 1]!]
    if (crosses(name, value) && !own.has(name) && !isForwardingHeader(name)) list.push(name, value)
  }
  return list
}

/** The trailers of a workload's response. */
export function responseTrailers (fields: ResponseHeaders): [string, string][] {
  return Object.entries(fields).flatMap(([name, values]) => [values ?? []].flat()
    .filter(value => crosses(name.toLowerCase(), value))
    .map((value): [string, string] => [name.toLowerCase(), value]))
}

function crosses (name: string, value: string): boolean {
  if (HOP_BY_HOP.has(name) || HEADERS_ONLY.has(name) || HEADERS_ONLY_PREFIX.test(name)) return false
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return true
  } catch {
    return false
  }
}

/** Whether a client says that it takes trailers (RFC 9110, section 10.1.4). HTTP/1.0 has none. */
export function takesTrailers (
  { headers: { te }, httpVersion }: { readonly headers: IncomingHttpHeaders, readonly httpVersion: string }
): boolean {
  return httpVersion !== '1.0' && te !== undefined &&
    String(te).toLowerCase().split(',').some(part => part.split(';', 1)[0]?.trim() === 'trailers')
}

const added = new WeakMap<ServerResponse, readonly [string, string][]>()

/** Adds to those that a response has: Node keeps what it was given last. To be called before its end. */
export function addTrailers (response: ServerResponse, more: readonly [string, string][]): void {
  const all = [...added.get(response) ?? [], ...more]
  added.set(response, all)
  response.addTrailers(all)
}
