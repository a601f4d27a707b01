/** Which headers cross the proxy, in either direction. Lists are flat, `[name, value, name, value, …]`, as undici takes them. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { isIP, isIPv6 } from 'node:net'
import { Problem } from './problems.ts'

/** Concern one connection only (RFC 9110, section 7.6.1), or frame a message: each side frames for itself. */
const HOP_BY_HOP = new Set([
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer',
  'transfer-encoding', 'upgrade', 'content-length', 'expect', 'http2-settings'
])

/** Say who called whom through what: believed from trusted proxies only. */
const FORWARDING = new Set(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto'])

/** What the proxy knows about the caller, for `x-forwarded-*`. */
export interface Caller {
  readonly trusted: boolean
  readonly address: string | undefined
  readonly encrypted: boolean
  readonly host: string | undefined
}

/**
 * The end-to-end headers of a request that arrived in clear.
 *
 * @param raw as `IncomingMessage.rawHeaders`
 * @param own lower-case names of the proxy's own headers, which are dropped
 */
export function requestHeaders (raw: readonly string[], own: ReadonlySet<string>, caller: Caller): string[] {
  const named = connectionOptions(raw)
  const headers: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (name === 'host' || HOP_BY_HOP.has(name) || own.has(name) || FORWARDING.has(name) || named?.has(name)) continue
    headers.push(name, raw[i + 1]!)
  }
  if (caller.trusted) headers.push(...forwarding(raw, caller))
  return headers
}

/** The `x-forwarded-*` headers of a trusted caller, extended by this hop. */
export function forwarding (raw: readonly string[], { address, encrypted, host }: Caller): string[] {
  const before = (wanted: string) => {
    const values: string[] = []
    for (let i = 0; i + 1 < raw.length; i += 2) if (raw[i]!.toLowerCase() === wanted) values.push(raw[i + 1]!)
    return values
  }
  const proto = before('x-forwarded-proto')[0] ?? (encrypted ? 'https' : 'http')
  const outerHost = before('x-forwarded-host')[0] ?? host
  const forwarded = before('forwarded')
  const headers = ['x-forwarded-for', [...before('x-forwarded-for'), address].filter(Boolean).join(', '), 'x-forwarded-proto', proto]
  if (outerHost !== undefined) headers.push('x-forwarded-host', outerHost)
  if (forwarded.length > 0) headers.push('forwarded', [...forwarded, `for=${node(address)}`].join(', '))
  return headers
}

/**
 * Whose request it is: the last address on the way here that is not a trusted proxy's, by what trusted proxies say. An
 * entry that is no address ends the search, and then the proxy that sent it counts.
 */
export function clientAddress (raw: readonly string[], address: string, isTrusted: (address: string) => boolean): string {
  const path: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) if (raw[i]!.toLowerCase() === 'x-forwarded-for') path.push(...raw[i + 1]!.split(','))
  let client = address
  while (isTrusted(client)) {
    // Some proxies write the port, too.
    const [, bracketed, v4] = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d+)?$/.exec(path.at(-1)?.trim() ?? '') ?? []
    const before = bracketed ?? v4 ?? path.at(-1)?.trim()
    path.pop()
    if (before === undefined || isIP(before) === 0) break
    client = before
  }
  return client
}

/** Who is counted as one, where clients are: whoever has an IPv6 address has all of its /64. */
export function clientOf (address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)
  if (mapped?.[1] !== undefined) return mapped[1]
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.toLowerCase().split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros: string[] = tail === undefined ? [] : Array(Math.max(0, 8 - before.length - after.length)).fill('0')
  return [...before, ...zeros, ...after].slice(0, 4).map(group => parseInt(group, 16).toString(16)).join(':')
}

/** RFC 7239, section 6: an IPv6 address stands in brackets and quotes. */
function node (address = 'unknown'): string {
  return address.includes(':') ? `"[${address}]"` : address
}

/**
 * The end-to-end headers of a request that came out of decryption: untrusted input.
 * Drops what must not cross; asks the workload for identity encoding, so that ciphertext is never of compressed secrets.
 *
 * @throws {Problem} bad-request, on a name that is no token or a value that is no field value
 */
export function openedHeaders (pairs: Iterable<readonly [string, string]>, own: ReadonlySet<string>): string[] {
  const list = [...pairs]
  const named = connectionOptions(list.flat())
  const headers: string[] = []
  let cookieAt: number | undefined
  for (const [givenName, value] of list) {
    validate(givenName, value)
    const name = givenName.toLowerCase()
    if (name === 'host' || name === 'accept-encoding' || HOP_BY_HOP.has(name) || own.has(name) || FORWARDING.has(name) || named?.has(name)) continue
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
 * The content-length comes last. Node takes a content-disposition that follows one for UTF-8, and writes the low byte of
 * each character: bytes of the workload's would arrive changed, or as the end of a line.
 */
export function responseHeaders (headers: ResponseHeaders, keepLength: boolean): ResponseHeaders {
  const named = connectionOptions(['connection', [headers['connection'] ?? []].flat().join(',')])
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

/** The names that `Connection` declares hop-by-hop, or undefined where there is none. */
function connectionOptions (flat: readonly string[]): Set<string> | undefined {
  let named: Set<string> | undefined
  for (let i = 0; i + 1 < flat.length; i += 2) {
    if (flat[i]!.length !== 10 || flat[i]!.toLowerCase() !== 'connection') continue
    for (const token of flat[i + 1]!.split(',')) {
      const name = token.trim().toLowerCase()
      if (name !== '' && name !== 'close' && name !== 'keep-alive') (named ??= new Set()).add(name)
    }
  }
  return named
}
