/** Reads what the proxy has to know of a token that it passes on. It does not verify: clients do. */
import { decodeJwt } from 'jose/jwt/decode'
import type { JWTPayload } from 'jose'
import { RemoteError } from '../remote/error.ts'

/**
 * Reads a token's claims and expiry.
 *
 * @param source for messages: 'The launcher'
 * @throws {RemoteError} transient: this is no token, or it expires within a minute
 */
export function readToken (token: string, source: string): { claims: JWTPayload, expiresAt: Date } {
  let claims: JWTPayload
  try {
    claims = decodeJwt(token)
  } catch (cause) {
    throw new RemoteError('transient', `${source} did not answer with a token`, {
      cause, providerCode: 'NO_TOKEN', advice: 'Check the configured endpoint, and any proxy on the way to it'
    })
  }
  const { exp } = claims
  if (typeof exp !== 'number' || exp * 1000 < Date.now() + 60_000) {
    throw new RemoteError('transient', `${source} answered with a token that has expired or is about to`, {
      providerCode: 'TOKEN_EXPIRED', advice: 'Check the clock of this machine'
    })
  }
  return { claims, expiresAt: new Date(exp * 1000) }
}
