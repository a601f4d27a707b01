/** Which header lines cross this proxy, in either direction, in their order. */
import type { IncomingMessage } from 'node:http'
import type { Field } from '../../../lib/protocols/bhttp/bhttp.ts'
import type { Base } from '../../fetch/request/target.ts'

/** Concern one connection only (RFC 9110, section 7.6.1), or frame a message: each side frames for itself. */
const HOP_BY_HOP = new Set([
  'connection', 'expect', 'http2-settings', 'keep-alive', 'proxy-authenticate', 'proxy-authorization',
  'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'
])
/** Set on each side: the target, the length, and the time that the encrypted request is dated with. */
const SET_HERE = new Set(['content-length', 'date', 'host'])
/** Says on every answer whether the proxy has proven its keys by a policy that pins its software. */
export const VERIFIED_FIELD = 'polaris-verified'

/**
 * The lines of a request that are for the workload.
 *
 * @param added replace lines of the same name
 */
export function requestFields ({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>, added: readonly Field[]): Field[] {
  const lines = pairs(rawHeaders)
  const dropped = new Set([...connectionOptions(lines), ...added.map(([name]) => name)])
  const kept = lines.filter(([name]) =>
    !HOP_BY_HOP.has(name) && !SET_HERE.has(name) && !name.startsWith('polaris-') && !dropped.has(name))
  return [...kept, ...added]
}

export interface AnswerContext {
  /** Where the proxy is. */
  readonly base: Base
  /** What the client calls this proxy. */
  readonly origin: string
  /** Lines of this proxy's own. */
  readonly own: readonly Field[]
}

/** The lines of the workload's answer that are for the client. */
export function responseFields (fields: readonly Field[], { base, origin, own }: AnswerContext): Field[] {
  const dropped = connectionOptions(fields)
  const cors = own.some(([name]) => name.startsWith('access-control-'))
  const kept = fields.filter(([name]) =>
    // Alternative services would be called without this proxy, unencrypted.
    !HOP_BY_HOP.has(name) && name !== VERIFIED_FIELD && name !== 'alt-svc' && !dropped.has(name) &&
    !(cors && name.startsWith('access-control-')))
  return [
    ...kept.map(([name, value]): Field => name === 'location' || name === 'content-location'
      ? [name, relocate(value, base, origin)]
      : [name, value]),
    ...own
  ]
}

/**
 * A reference that leads to the proxy itself leads through this one instead: followed as it is, the next request would
 * leave unencrypted. So it is whatever the scheme: workloads do not always know that they are reached by https.
 */
function relocate (location: string, { origin, prefix }: Base, self: string): string {
  const base = new URL(origin)
  if (!/^(?:https?:)?\/\//i.test(location) || !URL.canParse(location, origin)) return location
  const { hostname, port, protocol, href, username } = new URL(location, origin)
  const sameHost = hostname === base.hostname && (port === base.port || (protocol !== base.protocol && port === ''))
  if (!sameHost || username !== '') return location
  const rest = href.slice(href.indexOf('/', protocol.length + 2))
  if (!rest.startsWith(prefix)) return location
  const path = rest.slice(prefix.length)
  if (path === '' || /^[?#]/.test(path)) return `${self}/${path}`
  return path.startsWith('/') ? self + path : location
}

/** Names, in lower case, and values of `rawHeaders`. */
export function pairs (raw: readonly string[]): Field[] {
  const fields: Field[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) fields.push([raw[i]!.toLowerCase(), raw[i + 1]!])
  return fields
}

/** The names that `Connection` declares to concern this connection only. */
function connectionOptions (fields: readonly Field[]): Set<string> {
  const named = fields.filter(([name]) => name === 'connection').flatMap(([, value]) => value.split(','))
  return new Set(named.map(name => name.trim().toLowerCase()))
}
