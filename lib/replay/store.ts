/** Remembers which requests were seen, so that each is forwarded once (RFC 9458, section 6.5). */
import { hash } from 'node:crypto'
import { concat } from '../protocols/bytes.ts'

export interface ReplayStore {
  /**
   * True for the first request with this digest, and from then on false, for at least the time the store was made for.
   * One atomic step. Call it only for what is authentic, or garbage fills the store.
   *
   * @param date of the request, in milliseconds since 1970, if it has one: a date of which requests are forgotten
   * already is refused
   * @throws {ReplayStoreError} it cannot tell: the request must not be forwarded
   */
  admit (digest: Buffer, date?: number): boolean | Promise<boolean>
  /** Says why it cannot tell at present, or undefined where it can. */
  problem (): string | undefined
  /** How full it is, if it is in this process. */
  usage? (): StoreUsage
  close (): Promise<void>
}

/** Of what is remembered at present. */
export interface StoreUsage {
  readonly entries: number
  readonly capacity: number
}

export class ReplayStoreError extends Error {
  override readonly name = 'ReplayStoreError'
  readonly code = 'ERR_REPLAY_STORE'
}

export const DIGEST_BYTES = 16

/** What a request is remembered by: the first 16 bytes of SHA-256 over key id and encapsulated key. */
export function replayDigest (keyId: number, enc: Uint8Array): Buffer {
  return hash('sha256', concat(Uint8Array.of(keyId), enc), 'buffer').subarray(0, DIGEST_BYTES)
}
