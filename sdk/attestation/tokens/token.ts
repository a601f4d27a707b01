/**
 * What the tokens of attestation services have in common: RS256, a key from the pinned issuer's own key set, times.
 * Where the keys are is decided by the policy alone; `jku`, `jwk` and `x5c` in a token's header are never followed.
 */
import { compactVerify, decodeJwt, decodeProtectedHeader, importJWK, importX509 } from 'jose'
import type { JWTPayload } from 'jose'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { check, show, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { VerifierContext } from '../context.ts'
import { AttestationFetchError, fetchJson } from '../http.ts'

const ALGORITHM = 'RS256'

/** The one evidence of that media type, if it is a JWT at all. Nothing is verified. */
export function readToken (
  context: VerifierContext,
  mediaType: string
): { token: string; claims: JWTPayload } | undefined {
  const tokens = context.evidence.filter(([type]) => type === mediaType)
  const token = tokens[0]?.[1]
  if (token === undefined || tokens.length > 1) return undefined
  try {
    return { token, claims: decodeJwt(token) }
  } catch {
    return undefined
  }
}

/**
 * The check `signature`: RS256 by the one key of the issuer's set that has the token's `kid`.
 *
 * @param issuer from the policy
 * @param keySetUrl asked for where the options bring no key set of this issuer
 * @throws {AttestationFetchError} the issuer is unreachable, which says nothing about the token
 */
export async function signatureCheck (
  context: VerifierContext,
  token: string,
  issuer: string,
  keySetUrl: () => Promise<string>
): Promise<Check> {
  const name = 'signature'
  try {
    const { kid, alg } = decodeProtectedHeader(token)
    if (alg !== ALGORITHM) return check(name, false, `The token is signed with ${show(alg)}, not ${ALGORITHM}`)
    const { keySets = {} } = context.options
    const keySet = Object.hasOwn(keySets, issuer) ? keySets[issuer] : await fetchJson(context.fetch, await keySetUrl())
    const key = await importKey(keysOf(keySet).filter(key => key['kid'] === kid))
    await compactVerify(token, key, { algorithms: [ALGORITHM] })
    return check(name, true, `Signed by ${issuer}, key ${show(kid)}`)
  } catch (error) {
    if (error instanceof AttestationFetchError) throw error
    return check(name, false, `Not signed by ${issuer}: ${error instanceof Error ? error.message : 'unknown error'}`)
  }
}

function keysOf (keySet: unknown): Array<Record<string, unknown>> {
  const keys = typeof keySet === 'object' && keySet !== null && 'keys' in keySet ? keySet.keys : undefined
  if (!Array.isArray(keys)) throw new Error("the issuer's key set is malformed")
  return keys.filter(key => typeof key === 'object' && key !== null)
}

/** Azure's sets hold certificates without `n` and `e`. */
async function importKey (candidates: Array<Record<string, unknown>>) {
  const [key] = candidates
  if (!key) throw new Error('the issuer has no such key')
  if (candidates.length > 1) throw new Error("the issuer's key set holds that key identifier twice")
  if (key['kty'] !== 'RSA') throw new Error("the issuer's key is not an RSA key")
  if (typeof key['n'] === 'string' && typeof key['e'] === 'string') {
    return importJWK({ kty: 'RSA', n: key['n'], e: key['e'] }, ALGORITHM)
  }
  const [certificate] = Array.isArray(key['x5c']) ? key['x5c'] : []
  if (typeof certificate !== 'string') throw new Error("the issuer's key is malformed")
  return importX509(`-----BEGIN CERTIFICATE-----\n${certificate}\n-----END CERTIFICATE-----`, ALGORITHM)
}

/** The checks `validity` (exp, nbf) and `freshness` (iat). Times are whole seconds since the epoch. */
export function timeChecks (context: VerifierContext, claims: JWTPayload): Check[] {
  const now = context.now.getTime() / 1000
  const { clockToleranceSeconds: tolerance, maximumAgeSeconds: maximum } = context
  const { iat, nbf, exp } = claims as Record<string, unknown>
  const wellFormed =
    typeof exp === 'number' && typeof iat === 'number' && (nbf === undefined || typeof nbf === 'number')
  if (!wellFormed) {
    return [
      check('validity', false, 'The token has no usable times'),
      skipped('freshness', 'Not checked without times')
    ]
  }
  const begins = nbf ?? iat
  const age = Math.round(now - iat)
  const answers = context.challenge === 'answered' ? "; it answers this client's nonce" : ''
  return [
    check(
      'validity',
      exp > now - tolerance && begins <= now + tolerance,
      `The token is for use from ${time(begins)} to ${time(exp)}`
    ),
    check(
      'freshness',
      age <= maximum + tolerance && age >= -tolerance,
      `The token is ${age} s old, at most ${maximum} s are accepted${answers}`
    )
  ]
}

/**
 * The check `bound`: a claim that holds the binding in base64url and nothing else.
 *
 * @param subject what the claim is, e.g. 'The token\'s nonce'
 */
export function bindingCheck ({ binding }: VerifierContext, presented: unknown, subject: string): Check {
  const name = 'bound'
  if (binding === undefined) {
    return skipped(name, `Not checked: no binding was expected. ${subject} is ${show(presented)}`)
  }
  const bound = presented === encodeBase64url(binding)
  return check(name, bound, `${subject} is ${bound ? '' : 'not '}the binding of nonce and keys`)
}

/** The signed time of issue, for tokens whose other checks pass. */
export function issueTime ({ iat }: JWTPayload): Date | undefined {
  return typeof iat === 'number' ? new Date(iat * 1000) : undefined
}

function time (seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? 'an impossible time' : date.toISOString()
}

/** A member of a nested claim, or undefined where anything on the way is missing or no object. */
export function claim (claims: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (value, name) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, name)
        ? (value as Record<string, unknown>)[name]
        : undefined,
    claims
  )
}

/** Strings of a claim that may be one string or a list of them. */
export function strings (value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter(item => typeof item === 'string')
}
