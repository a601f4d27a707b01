/** Which forward proxy a URL is reached through: the environment decides, as it does for curl. */
import { BlockList, isIP } from 'node:net'

export type Environment = Readonly<Record<string, string | undefined>>

export interface ForwardProxy {
  /** Of the environment, as it is spelt there. */
  readonly variable: string
  /** May hold credentials: never print it. */
  readonly url: URL
}

/** A variable holds something that is no proxy. */
export class ForwardProxyError extends Error {
  override readonly name = 'ForwardProxyError'
}

/**
 * Lower-case names come first. `all_proxy` is for what has no variable of its own; an empty variable is none.
 *
 * @throws {ForwardProxyError}
 */
export function forwardProxyFor (
  { protocol, hostname, port }: URL, environment: Environment
): ForwardProxy | undefined {
  const scheme = protocol.slice(0, -1)
  const names = [`${scheme}_proxy`, 'all_proxy'].flatMap(name => [name, name.toUpperCase()])
  const variable = names.find(name => (environment[name] ?? '').trim() !== '')
  if (variable === undefined || isExempt(hostname, port === '' ? defaultPort(protocol) : port, environment)) {
    return undefined
  }
  return { variable, url: parse(variable, (environment[variable] ?? '').trim()) }
}

function defaultPort (protocol: string): string {
  return protocol === 'https:' ? '443' : '80'
}

function parse (variable: string, value: string): URL {
  // Without a scheme, it is http.
  const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`)
  if (url === null) {
    throw new ForwardProxyError(`${variable} is not the URL of a proxy, such as http://proxy.example.com:3128`)
  }
  if (!/^https?:$/.test(url.protocol)) {
    throw new ForwardProxyError(
      `${variable} names a proxy of the kind ${url.protocol.slice(0, -1)}: only http and https ones are supported`
    )
  }
  return url
}

/** NO_PROXY: names with all that is below them, addresses, networks (CIDR), each with a port if need be, or `*`. */
function isExempt (hostname: string, port: string, environment: Environment): boolean {
  const list = environment['no_proxy'] ?? environment['NO_PROXY'] ?? ''
  const host = hostname.toLowerCase().replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return list.split(/[\s,]+/).some(entry => entry === '*' || (entry !== '' && matches(entry.toLowerCase(), host, port)))
}

function matches (entry: string, host: string, port: string): boolean {
  const [, bracketed, plain, only] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? []
  if (only !== undefined && only !== port) return false
  const pattern = bracketed ?? plain ?? entry
  if (isIP(host) !== 0) return isInNetwork(host, pattern)
  const name = pattern.replace(/^\*?\./, '').replace(/\.$/, '')
  return name !== '' && (host === name || host.endsWith(`.${name}`))
}

function isInNetwork (address: string, pattern: string): boolean {
  const [network = '', bits] = pattern.split('/', 2)
  const version = isIP(network)
  if (version === 0 || version !== isIP(address)) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const prefix = bits === undefined ? (version === 4 ? 32 : 128) : Number(bits)
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > (version === 4 ? 32 : 128)) return false
  const list = new BlockList()
  list.addSubnet(network, prefix, family)
  return list.check(address, family)
}
