/** The contract between the proxy and whatever can prove to others on which platform it runs. */
import type { TeeKind, TypedValue } from '../protocols/attestation.ts'

/** What evidence is asked for. */
export interface EvidenceRequest {
  /** The bytes that are bound; see lib/protocols/attestation.ts. */
  readonly preimage: Uint8Array
  /** Their SHA-256, 32 bytes. */
  readonly binding: Uint8Array
  /** Ends the attempt. */
  readonly signal?: AbortSignal | undefined
}

export interface Evidence {
  readonly tee: TeeKind
  readonly evidence: readonly TypedValue[]
  readonly endorsements: readonly TypedValue[]
  /** Where the evidence says so itself. */
  readonly expiresAt?: Date | undefined
}

export interface Attester {
  /** As of the settings: `POLARIS_CONTAINER_ATTESTATION_TYPE`. */
  readonly type: string

  /** @throws {RemoteError} within bounded time */
  evidence (request: EvidenceRequest): Promise<Evidence>
}
