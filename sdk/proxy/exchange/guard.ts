/**
 * Who may use this proxy: programs that address it by its own name. Pages of the web run on the same machine, too, so a
 * name that was made to resolve to this address (DNS rebinding) is refused, and so is what a browser sends for a page.
 */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { LocalProblem } from './problems.ts'
import type { LocalTarget } from './target.ts'

export interface GuardOptions {
  /** Names beside the listener's own, in lower case: `name` with any port, or `name:port`. */
  readonly hosts: readonly string[]
  /** Origins whose pages may use it. */
  readonly origins: readonly string[]
}

/** @throws {LocalProblem} host-not-allowed, origin-not-allowed */
export type Guard = (request: IncomingMessage, target: LocalTarget) => void

export function createGuard ({ hosts, origins }: GuardOptions): Guard {
  return ({ headers, socket }, { authority }) => {
    const host = parseAuthority(authority)
    if (host === undefined || !(isOwn(host, socket) || hosts.includes(host.name) || hosts.includes(authority))) {
      throw new LocalProblem(
        'host-not-allowed',
        'The Host header names another server. If this proxy is to be called by that name, start it with --allow-host'
      )
    }
    const { origin } = headers
    // Not every request of a page has an Origin: images and links do not. Browsers say of them where they come from.
    const site = headers['sec-fetch-site']
    const fromOtherPage = origin === undefined && site !== undefined && site !== 'none' && site !== 'same-origin'
    if (fromOtherPage || (origin !== undefined && !origins.includes(origin))) {
      throw new LocalProblem(
        'origin-not-allowed',
        'The request comes from a page. If pages of its origin may use this proxy, start it with --allow-origin'
      )
    }
  }
}

interface Host {
  /** An IPv6 address without its brackets. */
  readonly name: string
  readonly port: number | undefined
}

function parseAuthority (authority: string): Host | undefined {
  const [, address, name, port] = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(authority) ?? []
  const host = address ?? name
  return host === undefined ? undefined : { name: host, port: port === undefined ? undefined : Number(port) }
}

/**
 * The address that the connection was made to, or `localhost` for one of this machine alone. No name server is asked
 * for those.
 */
function isOwn ({ name, port }: Host, socket: Socket): boolean {
  const { localAddress, localPort } = socket
  // A Unix domain socket: no page can reach it, whatever it is called.
  if (localAddress === undefined) return true
  if ((port ?? (socket instanceof TLSSocket ? 443 : 80)) !== localPort) return false
  const address = canonical(localAddress)
  return name === 'localhost' ? isLoopback(address) : canonical(name) === address
}

/** @param address an IP address in canonical form */
export function isLoopback (address: string): boolean {
  return address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address)
}

/** One spelling for each address. What is none stays as it is. */
export function canonical (address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  return isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address
}
