/**
 * Addresses to listen on that are written in one setting: read strictly, since a mistake would open a port to others.
 */
import { isIPv4, isIPv6 } from 'node:net'

export type ListenAddress =
  | { readonly path: string }
  | { readonly host: string, readonly port: number }

/** Linux takes no longer path for a socket. In bytes. */
const MAX_PATH_BYTES = 107

/** `127.0.0.1:9464`, `[::1]:9464` or `unix:/run/admin.sock`; undefined if it is none of them. */
export function parseListenAddress (text: string): ListenAddress | undefined {
  const path = /^unix:(\/[\x21-\x7e]+)$/.exec(text)?.[1]
  if (path !== undefined) return Buffer.byteLength(path) <= MAX_PATH_BYTES && !path.endsWith('/') ? { path } : undefined
  const [, v6, v4, digits = ''] = /^(?:\[([\da-fA-F:.]+)\]|([\d.]+)):(0|[1-9]\d{0,4})$/.exec(text) ?? []
  const port = Number(digits)
  if (digits === '' || port > 65535) return undefined
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port } : undefined
  return v4 !== undefined && isIPv4(v4) ? { host: v4, port } : undefined
}
