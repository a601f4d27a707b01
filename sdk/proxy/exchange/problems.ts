/**
 * Every answer that is this proxy's own: problem details (RFC 9457), told apart from those of the other side by `type`.
 */
import { AttestationDocumentError } from '../../../lib/protocols/attestation.ts'
import { AttestationError } from '../../attestation/attest-keys.ts'
import { AttestationFetchError } from '../../attestation/http.ts'
import { UnsupportedRequestError } from '../../errors.ts'
import { GatewayRefusalError, PolarisFetchError } from '../../fetch/errors.ts'
import type { PolarisFetchErrorCode } from '../../fetch/errors.ts'

/** One line each in docs/local-proxy.md. */
export const problemTypes = {
  unsupported: { status: 400, title: 'The request cannot be encrypted' },
  'origin-not-allowed': { status: 403, title: 'Pages of this origin may not use this proxy' },
  'not-found': { status: 404, title: 'No such resource of the local proxy' },
  'method-not-allowed': { status: 405, title: 'The resource can only be read' },
  'expectation-failed': { status: 417, title: 'The expectation is not supported' },
  'host-not-allowed': { status: 421, title: 'The request is for another host' },
  'header-file': { status: 500, title: 'A header to add is unavailable' },
  internal: { status: 500, title: 'The local proxy failed' },
  'no-tls': { status: 501, title: 'WebSocket needs TLS with a proven key' },
  'no-tunnels': { status: 501, title: 'CONNECT is not supported' },
  'not-verified': { status: 502, title: 'The proxy does not prove its keys' },
  'cannot-verify': { status: 502, title: 'The proxy\'s keys cannot be verified' },
  'key-refused': { status: 502, title: 'The proxy changed its keys' },
  clock: { status: 502, title: 'The clocks differ too much' },
  refused: { status: 502, title: 'The proxy refused the request' },
  unreachable: { status: 502, title: 'The proxy is unreachable' },
  incomplete: { status: 502, title: 'The answer broke off' },
  'not-authentic': { status: 502, title: 'The answer is not authentic' },
  overloaded: { status: 503, title: 'Too many connections' },
  'http-version': { status: 505, title: 'HTTP/1.1 is required' }
} as const

export type LocalProblemCode = keyof typeof problemTypes

export const PROBLEM_TYPE_PREFIX = 'urn:polaris-secure-proxy:local-proxy:'

/** Thrown to answer with. The detail is for people, and holds nothing that is to be encrypted. */
export class LocalProblem extends Error {
  override readonly name = 'LocalProblem'
  readonly code: LocalProblemCode
  readonly status: number
  readonly #members: Readonly<Record<string, unknown>>

  constructor (
    code: LocalProblemCode, detail: string, members: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions
  ) {
    super(detail, options)
    this.code = code
    this.status = problemTypes[code].status
    this.#members = members
  }

  body (): Buffer {
    const { status, title } = problemTypes[this.code]
    return Buffer.from(JSON.stringify(
      { type: PROBLEM_TYPE_PREFIX + this.code, title, status, detail: this.message, ...this.#members }
    ) + '\n')
  }
}

/** Of each code that fetch has. Undefined: this program does nothing that it could come of. */
const CODES: Readonly<Record<PolarisFetchErrorCode, LocalProblemCode | undefined>> = {
  ERR_POLARIS_OTHER_ORIGIN: undefined,
  ERR_POLARIS_UNSUPPORTED_REQUEST: undefined,
  ERR_POLARIS_REDIRECT: undefined,
  ERR_POLARIS_REQUEST_BODY: undefined,
  ERR_POLARIS_CONTENT_CODING: undefined,
  ERR_POLARIS_KEYS_UNAVAILABLE: 'cannot-verify',
  ERR_POLARIS_NO_USABLE_KEY: 'cannot-verify',
  ERR_POLARIS_TLS_KEY: 'cannot-verify',
  ERR_POLARIS_NOT_A_GATEWAY: 'refused',
  ERR_POLARIS_REFUSED: 'refused',
  ERR_POLARIS_KEY_REFUSED: 'key-refused',
  ERR_POLARIS_CLOCK: 'clock',
  ERR_POLARIS_CONNECTION: 'unreachable',
  ERR_POLARIS_TIMEOUT: 'unreachable',
  ERR_POLARIS_INCOMPLETE: 'incomplete',
  ERR_POLARIS_RESPONSE: 'not-authentic'
}

/** What an error of an exchange is to the client. Undefined: a mistake of this program. */
export type ProblemOf = (error: unknown) => LocalProblem | undefined

/** @param explain what the environment has to do with an error */
export function createProblems (explain: (error: unknown) => string | undefined): ProblemOf {
  return error => problemOf(error, explain)
}

function problemOf (error: unknown, explain: (error: unknown) => string | undefined): LocalProblem | undefined {
  if (error instanceof LocalProblem) return error
  if (error instanceof AttestationError) {
    const failed =
      error.verdict.checks.filter(({ outcome }) => outcome === 'failed').map(({ name, detail }) => ({ name, detail }))
    return new LocalProblem(
      'not-verified', `Nothing was sent. Failed checks: ${failed.map(({ name }) => name).join(', ')}`,
      { checks: failed }
    )
  }
  if (error instanceof AttestationFetchError || error instanceof AttestationDocumentError) {
    return new LocalProblem('cannot-verify', `Nothing was sent. ${withReason(error, explain)}`)
  }
  if (error instanceof UnsupportedRequestError) return new LocalProblem('unsupported', error.message)
  if (error instanceof GatewayRefusalError) {
    const { status, problem } = error
    return new LocalProblem(CODES[error.code] ?? 'refused', error.message, { refusal: { status, ...problem } })
  }
  if (error instanceof PolarisFetchError) {
    const code = CODES[error.code]
    return code && new LocalProblem(code, withReason(error, explain))
  }
  return undefined
}

function withReason (error: Error, explain: (error: unknown) => string | undefined): string {
  return [error.message, explain(error)].filter(part => part !== undefined).join('. ')
}
