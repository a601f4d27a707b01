/** Reads what the proxy has to know of a token that it passes on. It does not verify: clients do. */
import { decodeJwt } from 'jose/jwt/decode'
import type { JWTPayload } from 'jose'
import { AttesterError } from './attester.ts'

/**
 * @param source for messages: 'The launcher'
 * @throws {AttesterError} transient: this is no token, or it expires within a minute
 */
export function readToken (token: string, source: string): { claims: JWTPayload, expiresAt: Date } {
  let claims: JWTPayload
  try {
    claims = decodeJwt(token)
  } catch (cause) {
    throw new AttesterError(`${source} answered with something else than a token`, { cause, transient: true })
  }
  const { exp } = claims
  if (typeof exp !== 'number' || exp * 1000 < Date.now() + 60_000) {
    throw new AttesterError(`${source} answered with a token that has expired or is about to`, { transient: true })
  }
  return { claims, expiresAt: new Date(exp * 1000) }
}
