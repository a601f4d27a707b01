/** Why a service that keys or evidence come from could not be used, in terms an operator can act on. */

/**
 * - `configuration`: trying again cannot help; something must be set differently.
 * - `refused`: the other side says no. Often wrong for good, but also normal for the first minutes of a deployment,
 *   while identities appear and role assignments and policies spread: tried again until the deadline.
 * - `transient`: likely to pass by itself.
 */
export type RemoteFailure = 'configuration' | 'refused' | 'transient'

export interface RemoteErrorOptions extends ErrorOptions {
  /** The other side's own name for the error. Made of what `safeCode` lets through. */
  readonly providerCode: string
  /** What an operator must do, as a sentence without its full stop. */
  readonly advice: string
  /** Seconds the other side asked to be left alone for. */
  readonly retryAfter?: number | undefined
}

/** The message is a reason fit for `/readyz` and the log. The cause is neither: it may quote tokens and bodies. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError'
  readonly code = 'ERR_REMOTE'
  readonly kind: RemoteFailure
  readonly transient: boolean
  readonly providerCode: string
  readonly advice: string
  readonly retryAfter: number | undefined

  constructor (kind: RemoteFailure, message: string, options: RemoteErrorOptions) {
    super(message, options)
    this.kind = kind
    this.transient = kind === 'transient'
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

/** The seconds of a `Retry-After`, at most five minutes. Dates are not read. */
export function retryAfterOf (header: string | null | undefined): number | undefined {
  const seconds = Number(header)
  return seconds > 0 ? Math.min(seconds, MAX_RETRY_AFTER_SECONDS) : undefined
}

/** The innermost error code of a failed connection, such as ECONNREFUSED or ERR_TLS_CERT_ALTNAME_INVALID. */
export function connectionCode (error: unknown): string | undefined {
  let found: string | undefined
  for (let e = error, depth = 0; e instanceof Error && depth < 6; e = e.cause, depth++) {
    const { code } = e as NodeJS.ErrnoException
    if (typeof code === 'string' &&
      /^(E[A-Z]+|ERR_(TLS|SSL)_\w+|UND_ERR_\w+|[A-Z_]*CERT[A-Z_]*|UNABLE_TO_\w+)$/.test(code)) {
      found = code
    }
  }
  return found
}

/** A connection that failed, with advice according to whether a certificate was the reason. */
export function connectionError (peer: string, cause: unknown): RemoteError {
  const code = connectionCode(cause)
  const providerCode = code ?? 'CONNECTION'
  if (/CERT|TLS|SSL|UNABLE_TO/.test(providerCode)) {
    return new RemoteError('refused', `${peer} presents a certificate that is not accepted`, {
      providerCode,
      cause,
      advice: 'Check the configured host name, and any proxy on the way to it: it presents a certificate for ' +
        'another name, or one that no trusted authority signed'
    })
  }
  return new RemoteError('transient', `${peer} is unreachable${code === undefined ? '' : ` (${code})`}`, {
    providerCode, cause, advice: 'Check that it runs, the configured endpoint, DNS and the network policy'
  })
}
