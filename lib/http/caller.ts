/** Who sent a request, by its connection and by the headers of trusted proxies, and what the workload is told of it. */
import type { IncomingMessage } from 'node:http'
import { isIP, isIPv6 } from 'node:net'

/** What the proxy knows about the sender of a request. */
export interface Caller {
  /** It is a proxy whose forwarding headers are believed. */
  readonly trusted: boolean
  readonly address: string | undefined
  readonly encrypted: boolean
  /** Its TLS ends in this process, with a key that no one else has: requests count as encrypted. */
  readonly confidential?: boolean
  readonly host: string | undefined
}

/** Headers by which proxies tell a server who the client is, and what it asked for, besides all of `x-forwarded-*`. */
const FORWARDING = new Set([
  'forwarded', 'x-forwarded', 'x-real-ip', 'x-real-port', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip',
  'client-ip', 'x-remote-ip', 'x-remote-addr',
  'cf-connecting-ip', 'cf-connecting-ipv6', 'cf-pseudo-ipv4', 'fastly-client-ip', 'fly-client-ip',
  'x-appengine-user-ip', 'x-azure-clientip', 'x-azure-socketip',
  'x-envoy-external-address', 'x-envoy-original-path', 'x-original-forwarded-for', 'x-original-host',
  'x-original-proto', 'x-original-url', 'x-rewrite-url',
  'x-http-host-override', 'x-scheme', 'x-url-scheme', 'x-script-name', 'front-end-https', 'ssl-client-cert',
  'ssl-client-verify', 'x-ssl-client-cert', 'x-ssl-client-verify'
])

/** Those that forwarding() makes itself. */
const EXTENDED = new Set(
  ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-prefix']
)

/**
 * Whether a header, by its lower-case name, is for proxies alone to write. CGI, WSGI and others give their programs
 * `X_Forwarded_For` and `X-Forwarded-For` under one name, so that both count.
 */
export function isForwardingHeader (name: string): boolean {
  const dashed = name.includes('_') ? name.replaceAll('_', '-') : name
  return dashed.startsWith('x-forwarded-') || FORWARDING.has(dashed)
}

/**
 * The forwarding headers for the workload. A trusted caller's are extended by this hop, or passed on if this hop has
 * nothing to add, unless they are spelled with underscores. Nothing of any other caller's is.
 *
 * @param prefix path that was removed from the front of the target; empty, or '/path'
 */
export function forwarding (
  raw: readonly string[], { trusted, address, encrypted, host }: Caller, prefix = ''
): string[] {
  if (!trusted) return prefix === '' ? [] : ['x-forwarded-prefix', prefix]
  const headers: string[] = []
  const given = new Map<string, string[]>()
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (EXTENDED.has(name)) given.set(name, [...given.get(name) ?? [], raw[i + 1]!])
    else if (isForwardingHeader(name) && !name.includes('_')) headers.push(name, raw[i + 1]!)
  }
  const first = (name: string) => given.get(name)?.[0]
  headers.push('x-forwarded-for', [...given.get('x-forwarded-for') ?? [], address].filter(Boolean).join(', '))
  headers.push('x-forwarded-proto', first('x-forwarded-proto') ?? (encrypted ? 'https' : 'http'))
  const outerHost = first('x-forwarded-host') ?? host
  if (outerHost !== undefined) headers.push('x-forwarded-host', outerHost)
  const outerPrefix = (first('x-forwarded-prefix') ?? '').replace(/\/$/, '') + prefix
  if (outerPrefix !== '') headers.push('x-forwarded-prefix', outerPrefix)
  const forwarded = given.get('forwarded')
  if (forwarded !== undefined) headers.push('forwarded', [...forwarded, `for=${node(address)}`].join(', '))
  return headers
}

/**
 * The client's address: the last one on the way here that is not a trusted proxy's, by what trusted proxies say. An
 * entry that is no address ends the search, and then the proxy that sent it counts.
 */
export function clientAddress (
  raw: readonly string[], address: string, isTrusted: (address: string) => boolean
): string {
  const path: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]!.toLowerCase() === 'x-forwarded-for') path.push(...raw[i + 1]!.split(','))
  }
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

/** An IPv4 address that a dual-stack socket shows as `::ffff:192.0.2.1`, by itself. */
export function plainAddress (address: string): string {
  return /^::ffff:([\d.]+)$/i.exec(address)?.[1] ?? address
}

/** The client that an address counts for, when clients are limited: a host with an IPv6 address has all of its /64. */
export function clientOf (address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.toLowerCase().split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros: string[] = tail === undefined ? [] : Array(Math.max(0, 8 - before.length - after.length)).fill('0')
  return [...before, ...zeros, ...after].slice(0, 4).map(group => parseInt(group, 16).toString(16)).join(':')
}

/** The client that a request counts for, when clients are limited. One that is gone already has no address. */
export function clientBehind (
  { rawHeaders, socket }: Pick<IncomingMessage, 'rawHeaders' | 'socket'>, isTrusted: (address: string) => boolean
): string {
  return clientOf(clientAddress(rawHeaders, socket.remoteAddress ?? '', isTrusted))
}

/** RFC 7239, section 6: an IPv6 address stands in brackets and quotes. */
function node (address = 'unknown'): string {
  return address.includes(':') ? `"[${address}]"` : address
}
