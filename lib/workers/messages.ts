/**
 * What primary and workers say to each other, over the IPC channel that only they have. The RSA key stays in the
 * primary; the seed of the HPKE keys goes to the workers, which decapsulate for themselves.
 */
import type { RatchetState } from '../keys/hpke/epoch-secrets.ts'
import type { KeyStatus, PublishedKey } from '../keys/provider.ts'
import type { Verdict } from '../limits/limiter.ts'
import type { GroupCounts, MinuteCount } from '../limits/minute-counts.ts'
import type { Report } from '../metrics/report.ts'
import type { AcmeState } from '../tls/acme/state.ts'

/** How an unwrap ended: the key, or which error to throw. */
export type Unwrapped = { readonly key: Uint8Array } | { readonly error: 'unwrap' } | {
  readonly error: 'busy', readonly retryAfter: number
}

/** How asking the replay store ended, one byte for each digest. */
export const ADMITTED = 1
export const SEEN = 2
export const UNKNOWN = 3

export type ToWorker =
  | {
    readonly type: 'start'
    /** What the worker is called in metrics. */
    readonly worker: string
    readonly ratchet: RatchetState | undefined
    /** That of the TLS keys. */
    readonly tlsRatchet: RatchetState | undefined
    readonly remote: boolean
    readonly derives: boolean
    /** By what the names of clients are made that limits count. */
    readonly limitKey: Uint8Array
  }
  | {
    readonly type: 'state',
    readonly keys: readonly PublishedKey[],
    readonly retiring: readonly string[],
    readonly status: KeyStatus,
    readonly replayProblem: string | undefined,
    readonly messagesProblem: string | undefined
  }
  /** What session tickets are encrypted with from now on. */
  | { readonly type: 'tickets', readonly secret: Uint8Array }
  /** Keys with their certificates, and what an authority that validates is to be shown. */
  | { readonly type: 'acme', readonly state: AcmeState }
  | { readonly type: 'unwrapped', readonly id: number, readonly result: Unwrapped }
  /** Without a secret where it could not be derived. */
  | { readonly type: 'derived', readonly id: number, readonly secret: Uint8Array | undefined }
  | { readonly type: 'admitted', readonly id: number, readonly results: Uint8Array }
  | { readonly type: 'remembered', readonly id: number, readonly result: number }
  | { readonly type: 'taken', readonly id: number, readonly verdict: Verdict }
  | { readonly type: 'counted', readonly id: number, readonly count: MinuteCount }
  /** How is it? */
  | { readonly type: 'report', readonly id: number }
  | { readonly type: 'stop' }

export type ToPrimary =
  | { readonly type: 'hello' }
  /** The authority may come. */
  | { readonly type: 'reachable' }
  /** The worker ends: it cannot serve as things are configured. */
  | { readonly type: 'refused', readonly problems: readonly string[] }
  | { readonly type: 'unwrap', readonly id: number, readonly keyId: string, readonly wrapped: Uint8Array }
  | {
    readonly type: 'derive', readonly id: number, readonly keyId: string, readonly info: string, readonly length: number
  }
  | {
    readonly type: 'admit',
    readonly id: number,
    readonly digests: Uint8Array,
    readonly dates: readonly (number | undefined)[]
  }
  | { readonly type: 'reported', readonly id: number, readonly report: Report }
  /** A request of a client that is limited, and its end. */
  | { readonly type: 'take', readonly id: number, readonly client: string }
  | { readonly type: 'end', readonly client: string, readonly bytes: number }
  | {
    readonly type: 'count',
    readonly id: number,
    readonly what: keyof GroupCounts,
    readonly client: string,
    readonly by: 0 | 1
  }
  /** The messages of one v1 request. */
  | { readonly type: 'remember', readonly id: number, readonly keyId: string, readonly digests: Uint8Array }
