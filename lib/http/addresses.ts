/**
 * Addresses in response headers. A workload that writes absolute ones knows itself by the host it was asked for, which
 * is the one inside: clients get the part that they can reach, as with nginx's `proxy_redirect default`.
 */
import type { ResponseHeaders } from './headers.ts'

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/** Rewrites headers in place; `root` is the path in front of which the client sees the workload, empty or '/path'. */
export type AddressRewriter = (headers: ResponseHeaders, root: string) => void

/** @param base where the workload listens */
export function createAddressRewriter (base: URL): AddressRewriter {
  const basePath = base.pathname.replace(/\/$/, '')
  const basePort = base.port || DEFAULT_PORTS[base.protocol]

  /** Whether an authority is the workload's own. On one machine it has several names. */
  function isOwn (scheme: string | undefined, authority: string): boolean {
    const [, host = '', port = DEFAULT_PORTS[scheme?.toLowerCase() ?? base.protocol]] =
      /^(\[[^\]]*\]|[^:@]*)(?::(\d*))?$/.exec(authority) ?? []
    if (host === '' || port !== basePort) return false
    return host.toLowerCase() === base.hostname || (LOOPBACK.test(host) && LOOPBACK.test(base.hostname))
  }

  function rewrite (address: string, root: string): string {
    const [front = '', scheme, authority] = /^(?:(https?:))?\/\/([^/?#\\"']*)/i.exec(address) ?? []
    const rest = address.slice(front.length)
    if (authority === undefined) {
      if (!address.startsWith('/')) return address
      if (basePath !== '') return isBelow(address, basePath) ? below(address.slice(basePath.length), root) : address
      return root === '' || isBelow(address, root) ? address : below(address, root)
    }
    if (!isOwn(scheme, authority)) return address
    return below(basePath !== '' && isBelow(rest, basePath) ? rest.slice(basePath.length) : rest, root)
  }

  return (headers, root) => {
    for (const name of ['location', 'content-location']) change(headers, name, value => rewrite(value, root))
    change(headers, 'refresh', value => {
      const [before = ''] = /^[\d.\t ]*[;,][\t ]*(?:url[\t ]*=[\t ]*)?["']?/i.exec(value) ?? []
      return before === '' ? value : before + rewrite(value.slice(before.length), root)
    })
  }
}

function isBelow (path: string, prefix: string): boolean {
  return path.startsWith(prefix) && /^(?:$|[/?#])/.test(path.slice(prefix.length))
}

/** A path that begins with two slashes would be taken for an authority. */
function below (rest: string, root: string): string {
  const path = rest.startsWith('/') ? rest : `/${rest}`
  return root === '' && /^\/[/\\]/.test(path) ? `/.${path}` : root + path
}

function change (headers: ResponseHeaders, name: string, rewrite: (value: string) => string): void {
  const value = headers[name]
  if (value !== undefined) headers[name] = Array.isArray(value) ? value.map(rewrite) : rewrite(value)
}
