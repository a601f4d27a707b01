/**
 * Which headers cross the proxy, in either direction. Lists are flat, `[name, value, name, value, …]`, as undici takes
 * them.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { forwarding, isForwardingHeader } from './caller.ts'
import type { Caller } from './caller.ts'
import { Problem } from './problems.ts'

/** Concern one connection only (RFC 9110, section 7.6.1), or frame a message: each side frames for itself. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer',
  'transfer-encoding', 'upgrade', 'content-length', 'expect', 'http2-settings'
])

/**
 * The end-to-end headers of a request that arrived unencrypted.
 *
 * @param raw as `IncomingMessage.rawHeaders`
 * @param own lower-case names of the proxy's own headers, which are dropped
 * @param prefix path that was removed from the front of the target; empty, or '/path'
 */
export function requestHeaders (
  raw: readonly string[], own: ReadonlySet<string>, caller: Caller, prefix: string
): string[] {
  const named = connectionOptions(raw)
  const headers: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (name === 'host' || HOP_BY_HOP.has(name) || own.has(name) || isForwardingHeader(name) || named?.has(name)) {
      continue
    }
    headers.push(name, raw[i + 1]!)
  }
  headers.push(...forwarding(raw, caller, prefix))
  return headers
}

/**
 * The end-to-end headers of a request that came out of decryption: untrusted input.
 * Drops what must not cross; asks the workload for identity encoding, so that ciphertext is never of compressed
 * secrets.
 *
 * @throws {Problem} bad-request, on a name that is no token or a value that is no field value
 */
export function openedHeaders (pairs: Iterable<readonly [string, string]>, own: ReadonlySet<string>): string[] {
  const list = [...pairs]
  let named: Set<string> | undefined
  for (const [name, value] of list) if (isConnection(name)) named = withOptions(named, value)
  const headers: string[] = []
  let cookieAt: number | undefined
  for (const [givenName, value] of list) {
    validate(givenName, value)
    const name = givenName.toLowerCase()
    if (name === 'host' || name === 'accept-encoding' || HOP_BY_HOP.has(name) || own.has(name) ||
      isForwardingHeader(name) || named?.has(name)) {
      continue
    }
    // HTTP/1.1 knows one Cookie only; Binary HTTP, like HTTP/2, any number (RFC 9292, section 3.6).
    if (name === 'cookie' && cookieAt !== undefined) {
      headers[cookieAt] += `; ${value}`
      continue
    }
    headers.push(name, value)
    if (name === 'cookie') cookieAt = headers.length - 1
  }
  headers.push('accept-encoding', 'identity')
  return headers
}

/** The same, asking for content without any coding. */
export function askingForIdentity (headers: readonly string[]): string[] {
  return [...headers.filter((_, i) => headers[i - i % 2] !== 'accept-encoding'), 'accept-encoding', 'identity']
}

function validate (name: string, value: string): void {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch (cause) {
    throw new Problem('bad-request', { cause })
  }
}

/** A header set as undici and Node give it for responses. */
export type ResponseHeaders = Record<string, string | string[] | undefined>

/**
 * The end-to-end headers of a response. Framing is left out, but for a content-length that `keepLength` vouches for.
 *
 * The content-length comes last. Node takes a content-disposition that follows one for UTF-8, and writes the low byte
 * of each character: bytes of the workload's would arrive changed, or as the end of a line.
 */
export function responseHeaders (headers: ResponseHeaders, keepLength: boolean): ResponseHeaders {
  const { connection } = headers
  const named = connection === undefined ? undefined : withOptions(undefined, [connection].flat().join())
  const kept: ResponseHeaders = {}
  for (const name in headers) {
    // No object keeps a value under this name as it does under others.
    if (HOP_BY_HOP.has(name) || named?.has(name) || name === '__proto__') continue
    kept[name] = headers[name]
  }
  const { 'content-length': length } = headers
  if (keepLength && length !== undefined) kept['content-length'] = length
  return kept
}

/** The media type of a response in lower case, without its parameters; empty if it has none. */
export function mediaTypeOf ({ 'content-type': type }: ResponseHeaders): string {
  return String(type ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

export function isEventStream (headers: ResponseHeaders): boolean {
  return mediaTypeOf(headers) === 'text/event-stream'
}

/** The names that `Connection` declares hop-by-hop, or undefined where there is none. */
function connectionOptions (flat: readonly string[]): Set<string> | undefined {
  let named: Set<string> | undefined
  for (let i = 0; i + 1 < flat.length; i += 2) if (isConnection(flat[i]!)) named = withOptions(named, flat[i + 1]!)
  return named
}

function isConnection (name: string): boolean {
  return name.length === 10 && name.toLowerCase() === 'connection'
}

/** @param options the value of a `Connection` header */
function withOptions (named: Set<string> | undefined, options: string): Set<string> | undefined {
  for (const token of options.split(',')) {
    const name = token.trim().toLowerCase()
    if (name !== '' && name !== 'close' && name !== 'keep-alive') (named ??= new Set()).add(name)
  }
  return named
}
