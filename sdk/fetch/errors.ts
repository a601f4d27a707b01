/**
 * What the drop-in fetch throws. Each has a stable `code`, and a message that says what to do; none quotes what was
 * encrypted. All are TypeErrors, as the network errors of the platform's fetch are. Where a request was aborted, its
 * signal's reason is thrown, as fetch does.
 */

import { isTimeout, networkReason, neverConnected } from '../network-error.ts'

export type PolarisFetchErrorCode =
  | 'ERR_POLARIS_OTHER_ORIGIN'
  | 'ERR_POLARIS_UNSUPPORTED_REQUEST'
  | 'ERR_POLARIS_KEYS_UNAVAILABLE'
  | 'ERR_POLARIS_NO_USABLE_KEY'
  | 'ERR_POLARIS_NOT_A_GATEWAY'
  | 'ERR_POLARIS_REFUSED'
  | 'ERR_POLARIS_KEY_REFUSED'
  | 'ERR_POLARIS_CLOCK'
  | 'ERR_POLARIS_CONNECTION'
  | 'ERR_POLARIS_INCOMPLETE'
  | 'ERR_POLARIS_RESPONSE'
  | 'ERR_POLARIS_REDIRECT'
  | 'ERR_POLARIS_REQUEST_BODY'
  | 'ERR_POLARIS_CONTENT_CODING'
  | 'ERR_POLARIS_TIMEOUT'
  | 'ERR_POLARIS_TLS_KEY'

const NOTHING_SENT = new Set<PolarisFetchErrorCode>([
  'ERR_POLARIS_OTHER_ORIGIN', 'ERR_POLARIS_UNSUPPORTED_REQUEST', 'ERR_POLARIS_KEYS_UNAVAILABLE',
  'ERR_POLARIS_NO_USABLE_KEY', 'ERR_POLARIS_TLS_KEY'
])

export class PolarisFetchError extends TypeError {
  override readonly name: string = 'PolarisFetchError'
  readonly code: PolarisFetchErrorCode
  /**
   * Whether it is certain that nothing of the request left this machine, so that sending it again cannot do it twice.
   */
  readonly nothingSent: boolean

  constructor (code: PolarisFetchErrorCode, message: string, options?: ErrorOptions & { nothingSent?: boolean }) {
    super(message, options)
    this.code = code
    this.nothingSent = options?.nothingSent ?? NOTHING_SENT.has(code)
  }
}

/** Problem details (RFC 9457), as far as they are used here. */
export interface ProblemDetails {
  readonly type: string
  readonly title?: string
  readonly detail?: string
}

/**
 * The gateway, or something in front of it, answered with an error. Nothing vouches for what it says: anybody on the
 * way could have written it.
 */
export class GatewayRefusalError extends PolarisFetchError {
  override readonly name: string = 'GatewayRefusalError'
  readonly status: number
  /** What the gateway says, where it is the gateway that speaks. */
  readonly problem: ProblemDetails | undefined

  constructor (
    code: PolarisFetchErrorCode, message: string,
    { status, problem }: { status: number, problem?: ProblemDetails | undefined }
  ) {
    super(code, message)
    this.status = status
    this.problem = problem
  }
}

/** The gateway refused the request because the clocks are too far apart. It was not forwarded. */
export class ClockError extends GatewayRefusalError {
  override readonly name = 'ClockError'
  /** What this client sent. */
  readonly clientTime: Date
  /** What the gateway says, where it can be read. */
  readonly gatewayTime: Date | undefined

  constructor (status: number, problem: ProblemDetails, clientTime: Date, gatewayTime: Date | undefined) {
    const says = gatewayTime === undefined ? 'does not accept that' : `says ${gatewayTime.toISOString()}`
    super('ERR_POLARIS_CLOCK', `The clocks differ too much: here it is ${clientTime
      .toISOString()}, the gateway ${says}. Set the clock, then send again`, { status, problem })
    this.clientTime = clientTime
    this.gatewayTime = gatewayTime
  }
}

/** TLS ends with a key that the TEE has not proven: somewhere else. Nothing was sent. */
export class TlsKeyError extends PolarisFetchError {
  override readonly name = 'TlsKeyError'
  /** Of the key that the connection has: SHA-256 of SubjectPublicKeyInfo, in base64. */
  readonly pin: string
  /** Of those that were proven. */
  readonly proven: readonly string[]

  constructor (host: string, pin: string, proven: readonly string[]) {
    super('ERR_POLARIS_TLS_KEY', `The TLS key of ${host} is sha256//${pin}, which the evidence does not cover: it ` +
      `covers ${proven.length === 0 ? 'none' : proven.map(known => `sha256//${known}`).join(', ')}. TLS ends outside ` +
      'of the TEE, such as at a load balancer. Nothing was sent')
    this.pin = pin
    this.proven = proven
  }
}

/** A redirect that was not followed. */
export class RedirectError extends PolarisFetchError {
  override readonly name = 'RedirectError'
  /**
   * What the workload's Location header says. It was encrypted and may hold secrets, so that it cannot be enumerated:
   * loggers leave it out.
   */
  declare readonly location: string | undefined

  constructor (message: string, location: string | undefined, options?: ErrorOptions) {
    super('ERR_POLARIS_REDIRECT', message, options)
    Object.defineProperty(this, 'location', { value: location })
  }
}

/** What a failed connection to the gateway means. */
export function connectionError (url: string, cause: unknown): PolarisFetchError {
  const nothingSent = neverConnected(cause)
  const reason = networkReason(cause)
  const after = nothingSent ? 'Nothing was sent' : 'The request may have been processed'
  const why = reason === undefined ? '' : `: ${reason}`
  return isTimeout(cause)
    ? new PolarisFetchError(
      'ERR_POLARIS_TIMEOUT', `No response from ${url} in the time that the connection allows${why}. ${after}`,
      { cause, nothingSent }
    )
    : new PolarisFetchError(
      'ERR_POLARIS_CONNECTION', `The connection to ${url} failed before there was a response${why}. ${after}`,
      { cause, nothingSent }
    )
}

/** A request body that could not be read as it was announced. */
export function requestBodyError (what: string, cause?: unknown): PolarisFetchError {
  return new PolarisFetchError(
    'ERR_POLARIS_REQUEST_BODY', `The request's own body is at fault: ${what}. The request was not completed`, { cause }
  )
}
