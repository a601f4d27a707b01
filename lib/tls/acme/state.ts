/**
 * What the process that orders certificates shares with those that serve with them: plain data, as it crosses from a
 * primary to its workers.
 */

export interface AcmeKey {
  /** As `Credentials.pin`. */
  readonly pin: string
  /** PEM. */
  readonly key: string
  /** PEM: of the authority once it has issued one, with those above it; until then one that signs itself. */
  readonly cert: string
  readonly isIssued: boolean
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
  /** It does not serve before this. */
  readonly servesFrom: number
}

/** What an authority asks for while it validates a name. */
export type Challenge =
  | { readonly type: 'tls-alpn-01', readonly serverName: string, readonly cert: string, readonly key: string }
  | { readonly type: 'http-01', readonly token: string, readonly answer: string }

export interface AcmeState {
  /** At least one; the newest last. */
  readonly keys: readonly AcmeKey[]
  readonly challenges: readonly Challenge[]
  /** Attempts to obtain a certificate that failed since one that did not. */
  readonly failures: number
}

export interface AcmeSource {
  state (): AcmeState
  /** Calls the listener when the state is another. */
  onChange (listener: () => void): void
  /** The authority may come now: a key serves, and challenges are answered. Only the first call has an effect. */
  begin (): void
  close (): void
}
