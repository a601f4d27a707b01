/**
 * What the drop-in fetch throws. Each has a stable `code`, and a message that says what to do; none quotes what was
 * encrypted. All are TypeErrors, as the network errors of the platform's fetch are. Where a request was aborted, its
 * signal's reason is thrown, as fetch does.
 */

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

export class PolarisFetchError extends TypeError {
  override readonly name: string = 'PolarisFetchError'
  readonly code: PolarisFetchErrorCode

  constructor (code: PolarisFetchErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
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

  constructor (code: PolarisFetchErrorCode, message: string, { status, problem }: { status: number, problem?: ProblemDetails | undefined }) {
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
    super('ERR_POLARIS_CLOCK', `The clocks differ too much: here it is ${clientTime.toISOString()}, the gateway ${says}. Set the clock, then send again`, { status, problem })
    this.clientTime = clientTime
    this.gatewayTime = gatewayTime
  }
}
