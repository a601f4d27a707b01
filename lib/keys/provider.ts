/** The contract between the proxy and whatever holds its RSA private keys. Private keys never cross it. */
import type { Bytes } from '../protocols/bytes.ts'

/** A key that clients may encrypt to. */
export interface PublishedKey {
  /** Names the key towards `unwrap`; stable for the life of the key version. Not secret. */
  readonly keyId: string
  readonly algorithm: 'RSA-OAEP-256'
  /** SubjectPublicKeyInfo, PEM. */
  readonly pem: string
}

/** Whether a provider can serve, and if not why, in words fit for an operator and for `/readyz`: no secrets in them. */
export type KeyStatus =
  | { readonly ready: true }
  | { readonly ready: false, readonly reason: string }

export interface KeyProvider {
  /** True where an unwrap leaves the process: it costs money and time, and is limited accordingly. */
  readonly remote: boolean

  /** Resolves once keys are usable; rejects only on failures that retrying cannot fix, or when the deadline passed. */
  readonly ready: Promise<void>

  status (): KeyStatus

  /** Keys to publish, newest first. Empty until ready. */
  publicKeys (): readonly PublishedKey[]

  /** Ids of keys that are not published any more and still unwrap, for clients that hold them. None where absent. */
  retiring? (): readonly string[]

  /**
   * RSA-OAEP-256 (RFC 8017, section 7.1; SHA-256, MGF1-SHA-256, no label) decryption with the key named keyId.
   *
   * @throws {UnwrapError} it cannot be opened; says nothing about why
   * @throws {KeysBusyError} too much work is queued, or the remote side is failing: try again later
   */
  unwrap (keyId: string, wrapped: Uint8Array): Promise<Bytes>

  /**
   * A secret of `length` bytes that depends on the private key and `info` alone, so that every replica with the same
   * key derives the same one. Only where the private key is in memory.
   */
  deriveSecret? (keyId: string, info: string, length: number): Promise<Bytes>

  /** Fetches the keys again without interrupting their use. Concurrent calls share one attempt. */
  refresh (): Promise<void>

  /**
   * Makes a new key and publishes it alone; the old one goes on to unwrap for a while. Only where keys are made in this
   * process, and no other has them. Concurrent calls share one attempt.
   */
  renew? (): Promise<void>

  /** Calls the listener each time a new key took the place of the one that clients encrypt to. */
  onRenewal? (listener: () => void): void

  close (): Promise<void>
}

/**
 * The key that clients encrypt to, once there is one. `ready` alone does not tell: it stays rejected where a later
 * refresh brought the keys.
 *
 * @throws what `ready` rejects with
 */
export async function newestKey (keys: KeyProvider): Promise<PublishedKey> {
  if (keys.publicKeys().length === 0) await keys.ready
  const [newest] = keys.publicKeys()
  if (newest === undefined) throw new KeysBusyError()
  return newest
}

/** What was sent cannot be opened with this key. The cause, if any, is for tests: it is not logged and not sent. */
export class UnwrapError extends Error {
  override readonly name = 'UnwrapError'
  readonly code = 'ERR_UNWRAP'

  constructor (options?: ErrorOptions) {
    super('The wrapped key cannot be opened', options)
  }
}

/** Private-key work is refused for now. `retryAfter` is in seconds. */
export class KeysBusyError extends Error {
  override readonly name = 'KeysBusyError'
  readonly code = 'ERR_KEYS_BUSY'
  readonly retryAfter: number

  constructor (retryAfter = 1, options?: ErrorOptions) {
    super('Private keys are busy', options)
    this.retryAfter = retryAfter
  }
}
