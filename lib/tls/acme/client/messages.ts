/** What an authority answers, as far as it is used (RFC 8555, section 7.1). Everything else in it is left alone. */
import { RemoteError, safeCode } from '../../../remote/error.ts'
import type { Identifier } from './identifiers.ts'

export interface Directory {
  readonly newNonce: URL
  readonly newAccount: URL
  readonly newOrder: URL
  readonly hasTerms: boolean
  readonly needsBinding: boolean
}

export interface Order {
  readonly status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid'
  readonly authorizations: readonly URL[]
  readonly finalize: URL
  readonly certificate: URL | undefined
  /** Why it is invalid. */
  readonly problem: AcmeProblem | undefined
}

export interface Authorization {
  readonly status: 'pending' | 'valid' | 'invalid' | 'deactivated' | 'expired' | 'revoked'
  readonly identifier: Identifier
  readonly challenges: readonly AuthorityChallenge[]
}

export interface AuthorityChallenge {
  readonly type: string
  readonly url: URL
  readonly token: string
  readonly problem: AcmeProblem | undefined
}

export interface AcmeProblem {
  /** What follows `urn:ietf:params:acme:error:`, or `unknown`. */
  readonly code: string
  /** For operators: printable, on one line, not long. */
  readonly detail: string
}

type Json = Readonly<Record<string, unknown>>

const ORDER_STATUS = ['pending', 'ready', 'processing', 'valid', 'invalid'] as const
const AUTHORIZATION_STATUS = ['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked'] as const
/** More names than are ever ordered, and more kinds of challenges than there are. */
const MAX_AUTHORIZATIONS = 32
const MAX_CHALLENGES = 32
const MAX_URL = 2048
/** At least 128 bits in base64url (RFC 8555, section 8.3), and what goes into a path. */
const TOKEN = /^[\w-]{22,128}$/
const MAX_DETAIL = 300
const ERRORS = 'urn:ietf:params:acme:error:'

/** @throws {RemoteError} */
export function parseDirectory (body: Uint8Array, origin: string): Directory {
  const json = objectOf(body)
  const meta = isObject(json['meta']) ? json['meta'] : {}
  return {
    newNonce: urlOf(json['newNonce'], origin),
    newAccount: urlOf(json['newAccount'], origin),
    newOrder: urlOf(json['newOrder'], origin),
    hasTerms: typeof meta['termsOfService'] === 'string',
    needsBinding: meta['externalAccountRequired'] === true
  }
}

/** @throws {RemoteError} */
export function parseOrder (body: Uint8Array, origin: string): Order {
  const json = objectOf(body)
  const { certificate, error } = json
  return {
    status: oneOf(json['status'], ORDER_STATUS),
    authorizations: listOf(json['authorizations'], MAX_AUTHORIZATIONS).map(url => urlOf(url, origin)),
    finalize: urlOf(json['finalize'], origin),
    certificate: certificate === undefined ? undefined : urlOf(certificate, origin),
    problem: isObject(error) ? problemFrom(error) : undefined
  }
}

/** @throws {RemoteError} */
export function parseAuthorization (body: Uint8Array, origin: string): Authorization {
  const json = objectOf(body)
  const { identifier } = json
  if (!isObject(identifier) || typeof identifier['value'] !== 'string') throw malformed()
  return {
    status: oneOf(json['status'], AUTHORIZATION_STATUS),
    identifier: { type: oneOf(identifier['type'], ['dns', 'ip']), value: identifier['value'].toLowerCase() },
    challenges: listOf(json['challenges'], MAX_CHALLENGES).flatMap(challenge => {
      if (!isObject(challenge)) throw malformed()
      const { type, url, token, error } = challenge
      // Of a kind that is not known here: it need not have a token.
      if (typeof type !== 'string' || token === undefined) return []
      if (typeof token !== 'string' || !TOKEN.test(token)) throw malformed()
      return [{ type, url: urlOf(url, origin), token, problem: isObject(error) ? problemFrom(error) : undefined }]
    })
  }
}

/** Of an answer that is not a success; of anything that is not a problem document, `unknown`. */
export function parseProblem (body: Uint8Array): AcmeProblem {
  try {
    return problemFrom(objectOf(body))
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error
    return { code: 'unknown', detail: '' }
  }
}

/** An URL of the authority itself: it sends to no other host. @throws {RemoteError} */
export function urlOf (value: unknown, origin: string): URL {
  const url = typeof value === 'string' && value.length <= MAX_URL ? URL.parse(value) : null
  if (url === null || url.origin !== origin || url.username !== '' || url.password !== '') throw malformed()
  return url
}

/** For operators. */
export function describeProblem ({ code, detail }: AcmeProblem): string {
  return detail === '' ? code : `${code}: ${detail}`
}

/** It does not keep to the protocol, or something on the way does not. */
export function malformed (cause?: unknown): RemoteError {
  return new RemoteError('transient', 'The certificate authority sent an answer that cannot be used', {
    cause,
    providerCode: 'MALFORMED',
    advice: 'Check that the configured directory is that of an ACME authority (RFC 8555), and what is on the way to it'
  })
}

/** Of subproblems, which name what is wrong with each name, the first (RFC 8555, section 6.7.1). */
function problemFrom (json: Json): AcmeProblem {
  const { type, detail, subproblems } = json
  const [first]: readonly unknown[] = Array.isArray(subproblems) ? subproblems : []
  const texts = [detail, isObject(first) ? first['detail'] : undefined].filter(text => typeof text === 'string')
  const code = typeof type === 'string' && type.startsWith(ERRORS) ? safeCode(type.slice(ERRORS.length)) : undefined
  return {
    code: code ?? 'unknown',
    detail: texts.join('; ').slice(0, MAX_DETAIL).replaceAll(/[^\x20-\x7e]+/g, ' ').trim()
  }
}

function objectOf (body: Uint8Array): Json {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw malformed(cause)
  }
  if (!isObject(json)) throw malformed()
  return json
}

function isObject (value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listOf (value: unknown, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > most) throw malformed()
  return value
}

function oneOf<const T extends string> (value: unknown, known: readonly T[]): T {
  const found = known.find(one => one === value)
  if (found === undefined) throw malformed()
  return found
}
