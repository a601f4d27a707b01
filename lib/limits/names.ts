/**
 * What a client is counted by: its address, or the outer header that the operator names, such as one with a credential;
 * of that a keyed hash is kept, and nothing else.
 */
import { createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { ClientLimiter } from './limiter.ts'

/** Of 132 bits, so that two clients do not meet. */
const NAME_CHARACTERS = 22
/** In front of the value of a header: no address begins so. */
const HEADER = '#'

/** The value that tells a client apart, as it came: to be hashed before it is kept. */
export function identityOf (headers: IncomingHttpHeaders, header: string | undefined, address: () => string): string {
  const value = header === undefined ? undefined : headers[header]
  return value === undefined ? address() : HEADER + String(value)
}

/** @param key random, and the same in all processes that count together */
export function nameOf (identity: string, key: Uint8Array | string): string {
  return createHmac('sha256', key).update(identity).digest('base64url').slice(0, NAME_CHARACTERS)
}

/** The limiter, given identities: what a header said is hashed, and addresses are themselves. */
export function namedLimiter ({ take, end }: ClientLimiter, key: Uint8Array): ClientLimiter {
  const name = (identity: string) => identity.startsWith(HEADER) ? nameOf(identity, key) : identity
  return {
    take: identity => take(name(identity)),
    end: (identity, bytes) => end(name(identity), bytes)
  }
}
