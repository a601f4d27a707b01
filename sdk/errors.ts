/**
 * What the client throws. Each has a stable `code`, and a message that says what to do. None quotes what was encrypted.
 */

/** The request cannot be sent encrypted as it is; nothing was sent. */
export class UnsupportedRequestError extends Error {
  override readonly name = 'UnsupportedRequestError'
  readonly code = 'ERR_POLARIS_UNSUPPORTED_REQUEST'
}

/** There is no usable public key to encrypt to; nothing was sent. */
export class PublicKeyError extends Error {
  override readonly name = 'PublicKeyError'
  readonly code = 'ERR_POLARIS_PUBLIC_KEY'
}

/**
 * The members of axios's errors, so that `axios.isAxiosError()` holds and handlers find what they look for. Loggers do
 * not: they write what can be enumerated, and request and response, with what was encrypted in them, cannot.
 */
export class ExchangeError extends Error {
  override readonly name: string = 'ExchangeError'
  readonly code: string = 'ERR_POLARIS_EXCHANGE'
  readonly isAxiosError = true
  declare readonly config: unknown
  declare readonly request: unknown
  declare readonly response: unknown
  readonly status: number

  constructor (
    message: string, response: { status: number, config: unknown, request?: unknown }, options?: ErrorOptions
  ) {
    super(message, options)
    this.status = response.status
    const hidden = { config: response.config, request: response.request, response }
    for (const [name, value] of Object.entries(hidden)) {
      Object.defineProperty(this, name, { value, writable: true, configurable: true })
    }
  }

  /** Of what axios puts here, that which is no secret. */
  toJSON (): object {
    const { name, message, code, status } = this
    return { name, message, code, status }
  }
}

/** The workload answered with a status that `validateStatus` refuses. Its `response` is decrypted. As axios has it. */
export class StatusError extends ExchangeError {
  override readonly name = 'AxiosError'
  override readonly code: string

  constructor (response: { status: number, config: unknown, request?: unknown }) {
    super(`Request failed with status code ${response.status}`, response)
    this.code = response.status >= 400 && response.status < 500 ? 'ERR_BAD_REQUEST' : 'ERR_BAD_RESPONSE'
  }
}

/**
 * Not the workload but the proxy, or something in front of it, answered with an error. Its `response` is readable but
 * nothing vouches for it: anybody on the way could have written it.
 */
export class ProxyError extends ExchangeError {
  override readonly name: string = 'ProxyError'
  override readonly code: string = 'ERR_POLARIS_PROXY'
}

/** The proxy refused the request, and by now publishes another key. The next request uses that one. */
export class PublicKeyChangedError extends ProxyError {
  override readonly name = 'PublicKeyChangedError'
  override readonly code = 'ERR_POLARIS_PUBLIC_KEY_CHANGED'
}

/**
 * A response that should be sealed to this client cannot be opened. It is not to be trusted, so it is not given out.
 */
export class ResponseError extends ExchangeError {
  override readonly name = 'ResponseError'
  override readonly code = 'ERR_POLARIS_RESPONSE'
}
