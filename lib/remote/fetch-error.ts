/** Why keys could not be fetched, in terms an operator can act on. */

/**
 * - `configuration`: trying again cannot help; something must be set differently.
 * - `refused`: the other side says no. Often wrong for good, but also normal for the first minutes of a deployment,
 *   while identities appear and role assignments and policies spread: tried again until the deadline.
 * - `transient`: likely to pass by itself.
 */
export type FetchFailure = 'configuration' | 'refused' | 'transient'

export interface KeyFetchErrorOptions extends ErrorOptions {
  /** The other side's own name for the error. Made of what `safeCode` lets through. */
  providerCode: string
  /** What an operator must do, as a sentence. */
  advice: string
  /** Seconds the other side asked to be left alone for. */
  retryAfter?: number | undefined
}

/** The message is a reason fit for `/readyz` and the log. The cause is neither: it may quote tokens and bodies. */
export class KeyFetchError extends Error {
  override readonly name = 'KeyFetchError'
  readonly code = 'ERR_KEY_FETCH'
  readonly kind: FetchFailure
  readonly providerCode: string
  readonly advice: string
  readonly retryAfter: number | undefined

  constructor (kind: FetchFailure, message: string, options: KeyFetchErrorOptions) {
    super(message, options)
    this.kind = kind
    this.providerCode = options.providerCode
    this.advice = options.advice
    this.retryAfter = options.retryAfter
  }
}

/**
 * `value` if it can only be the name of an error: letters, digits and underscores, short, starting with a letter.
 * What a remote side puts into an error field is not trusted to be one; it could be a token it echoes.
 */
export function safeCode (value: unknown): string | undefined {
  return typeof value === 'string' && /^[A-Za-z][A-Za-z_0-9]{1,39}$/.test(value) ? value : undefined
}

const MAX_RETRY_AFTER_SECONDS = 300

/** Seconds, where `Retry-After` says so. A date does not count; nor is anybody left alone for longer than five minutes. */
export function retryAfterOf (header: string | null | undefined): number | undefined {
  const seconds = Number(header)
  return seconds > 0 ? Math.min(seconds, MAX_RETRY_AFTER_SECONDS) : undefined
}

/** The innermost error code of a failed connection, such as ECONNREFUSED or ERR_TLS_CERT_ALTNAME_INVALID. */
export function connectionCode (error: unknown): string | undefined {
  let found: string | undefined
  for (let e = error, depth = 0; e instanceof Error && depth < 6; e = e.cause, depth++) {
    const { code } = e as NodeJS.ErrnoException
    if (typeof code === 'string' && /^(E[A-Z]+|ERR_(TLS|SSL)_\w+|UND_ERR_\w+|[A-Z_]*CERT[A-Z_]*|UNABLE_TO_\w+)$/.test(code)) found = code
  }
  return found
}

/** A connection that failed, with advice according to whether a certificate was the reason. */
export function connectionError (peer: string, cause: unknown): KeyFetchError {
  const providerCode = connectionCode(cause) ?? 'CONNECTION'
  return /CERT|TLS|SSL|UNABLE_TO/.test(providerCode)
    ? new KeyFetchError('refused', `${peer}: its certificate is not accepted`, {
      providerCode, cause, advice: 'Check the configured host name, and what stands between here and there: it presents a certificate for something else, or one that no trusted authority signed'
    })
    : new KeyFetchError('transient', `${peer}: no connection`, {
      providerCode, cause, advice: 'Check that it runs, the configured endpoint, DNS and the network policy'
    })
}
