/**
 * What a request names: host and path. A target in absolute form overrides the Host header (RFC 9112, section 3.2.2).
 */
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { LocalProblem } from './problems.ts'

export interface LocalTarget {
  /** In lower case, with the port if there is one. */
  readonly authority: string
  /** Path and query as they were sent, or `*`. */
  readonly path: string
  /** What the client calls this proxy: scheme and authority. */
  readonly origin: string
}

/** @throws {LocalProblem} host-not-allowed: there is not exactly one host */
export function targetOf ({ url = '', headersDistinct, socket }: IncomingMessage): LocalTarget {
  const hosts = headersDistinct['host'] ?? []
  if (hosts.length !== 1) throw new LocalProblem('host-not-allowed', 'A request must have exactly one Host header')
  const absolute = /^https?:\/\/([^/?#]*)/i.exec(url)
  const authority = (absolute?.[1] ?? hosts[0] ?? '').toLowerCase()
  const path = absolute === null ? url : withSlash(url.slice(absolute[0].length))
  return { authority, path, origin: `${socket instanceof TLSSocket ? 'https' : 'http'}://${authority}` }
}

function withSlash (rest: string): string {
  return rest.startsWith('/') ? rest : `/${rest}`
}
