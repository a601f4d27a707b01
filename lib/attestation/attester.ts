/** The contract between the proxy and whatever can prove to others on which platform it runs. */
import type { TeeKind, TypedValue } from '../protocols/attestation.ts'

/** `POLARIS_CONTAINER_ATTESTATION_TYPE`, apart from `auto`. */
export const ATTESTER_TYPES = ['none', 'simulated', 'google-confidential-space', 'azure-maa', 'azure-snp', 'configfs-tsm'] as const
export type AttesterType = typeof ATTESTER_TYPES[number]

/** What evidence is asked for. */
export interface EvidenceRequest {
  /** The octets that are bound; see lib/protocols/attestation.ts. */
  readonly preimage: Uint8Array
  /** Their SHA-256, 32 octets. */
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
  readonly type: AttesterType

  /** @throws {AttesterError} within bounded time */
  evidence (request: EvidenceRequest): Promise<Evidence>
}

export interface AttesterErrorOptions extends ErrorOptions {
  /** Trying again later may help without anybody changing anything. */
  transient: boolean
  /** The other side's own name for the error, where it is fit for a log. */
  providerCode?: string | undefined
  /** What an operator must do, as a sentence. */
  advice?: string | undefined
  /** Seconds the other side asked to be left alone for. */
  retryAfter?: number | undefined
}

/** The platform gave no evidence. The message is for operators: it holds no token and nothing else of the answer. */
export class AttesterError extends Error {
  override readonly name = 'AttesterError'
  readonly code = 'ERR_ATTESTER'
  readonly transient: boolean
  readonly providerCode: string | undefined
  readonly advice: string | undefined
  readonly retryAfter: number | undefined

  constructor (message: string, options: AttesterErrorOptions) {
    super(message, options)
    this.transient = options.transient
    this.providerCode = options.providerCode
    this.advice = options.advice
    this.retryAfter = options.retryAfter
  }
}
