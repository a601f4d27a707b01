/** What a certificate is ordered for: DNS names (RFC 8555, section 7.1.3) and IP addresses (RFC 8738). */
import { isIP } from 'node:net'

export interface Identifier {
  readonly type: 'dns' | 'ip'
  readonly value: string
}

/** Without duplicates; names in lower case, addresses as RFC 5952 writes them. */
export function identifiersOf (names: readonly string[]): readonly Identifier[] {
  return [...new Set(names.map(canonical))].map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))
}

function canonical (name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase()
}

/** The server name that an authority asks for with tls-alpn-01: of an address, that of its reverse (RFC 8738, 6). */
export function serverNameOf ({ type, value }: Identifier): string {
  if (type === 'dns') return value
  if (isIP(value) === 4) return `${value.split('.').toReversed().join('.')}.in-addr.arpa`
  return `${[...digitsOf(value)].toReversed().join('.')}.ip6.arpa`
}

/** The 32 hexadecimal digits of an IPv6 address in its canonical form, which has no IPv4 address in it. */
function digitsOf (address: string): string {
  const [before = [], after = []] = address.split('::').map(half => half.split(':').filter(group => group !== ''))
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].map(group => group.padStart(4, '0')).join('')
}
