/** What a fetch knows about the proof of its keys, for applications that show it before they send anything. */
import type { Verdict } from '../attestation/checks.ts'

export interface FetchAttestation {
  /** The last verdict, whatever it says; undefined before the first. */
  readonly verdict: Verdict | undefined
  /** When it was made. */
  readonly at: Date | undefined
  /**
   * Until when requests are encrypted to the keys that were proven; later ones have them proven again first. Undefined
   * if nothing is proven, also after a renewal that failed: then nothing is sent.
   */
  readonly until: Date | undefined
  /** Why the last attempt failed; undefined if it did not. */
  readonly error: unknown
  /**
   * Has the proxy prove its keys, unless a proof still counts: before the first prompt, or when a proof runs out.
   *
   * @param options `fresh`: also if a proof still counts, which is given up if that fails
   * @throws {AttestationError | AttestationFetchError | AttestationDocumentError | PolarisFetchError}
   */
  verify (options?: { readonly fresh?: boolean }): Promise<Verdict>
}

/** A fetch, and what it knows about the proof of its keys: undefined without the option `attestation`. */
export type PolarisFetch = typeof globalThis.fetch & {
  readonly attestation: FetchAttestation | undefined
  /** What carries requests: `tls` only where it was asked for, and keys can be pinned. */
  readonly transport: 'ohttp' | 'polaris-v1' | 'tls'
}

/** Keeps what the attempts came to. */
export interface AttestationRecord {
  readonly verdict: Verdict | undefined
  judged (verdict: Verdict): void
  /** @param until in milliseconds since the epoch */
  proven (until: number): void
  failed (error: unknown): void
  /** For applications. */
  view (verify: FetchAttestation['verify']): FetchAttestation
}

/** The last one that a Date can be. */
const LAST_TIME = 8.64e15

/** @param onRenewalFailure told of each attempt that fails after one that did not */
export function createRecord (onRenewalFailure: ((error: unknown) => void) | undefined): AttestationRecord {
  const now: { verdict?: Verdict, at?: Date, until?: Date | undefined, error?: unknown } = {}
  let everProven = false
  return {
    get verdict () { return now.verdict },
    judged (verdict) { Object.assign(now, { verdict, at: new Date() }) },
    proven (until) {
      everProven = true
      Object.assign(now, { until: new Date(Math.min(until, LAST_TIME)), error: undefined })
    },
    failed (error) {
      Object.assign(now, { until: undefined, error })
      if (everProven) onRenewalFailure?.(error)
    },
    view: verify => ({
      get verdict () { return now.verdict },
      get at () { return now.at },
      get until () { return now.until },
      get error () { return now.error },
      verify
    })
  }
}
