/** Where to listen: loopback, unless the user says twice that other machines may connect. */
import { isIP } from 'node:net'
import { UsageError } from '../../cli/status.ts'
import { canonical, isLoopback } from '../exchange/guard.ts'

export const DEFAULT_LISTEN = '127.0.0.1:8787'

export type ListenAddress = { readonly host: string, readonly port: number } | { readonly path: string }

/**
 * @param text `address:port`, `[address]:port` or `localhost:port`
 * @throws {UsageError} malformed, or another address than loopback without `allowRemote`
 */
export function parseListen (text: string, allowRemote: boolean): ListenAddress {
  const [, v6, other = '', digits] = /^(?:\[([\da-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text) ?? []
  const host = other === 'localhost' ? '127.0.0.1' : v6 ?? other
  const port = Number(digits)
  if (isIP(host) === 0 || !(port <= 65535)) {
    throw new UsageError(`not an address to listen on, such as ${DEFAULT_LISTEN}: ${text}`)
  }
  if (!isLoopback(canonical(host)) && !allowRemote) {
    throw new UsageError(`${host} can be reached by other machines: what they send here is not encrypted by this ` +
      'proxy yet. If that is meant, add --allow-remote')
  }
  return { host, port }
}
