/**
 * What observers learn of a request: when it came to which stage, and how it ended, on one object that goes with it
 * through the pipeline. Nothing in it comes from what was decrypted, or from what goes into it: it has times, the
 * protocol, the proxy's own problem, and what every observer on the way sees. Without observers there is none.
 */
import type { Readable } from 'node:stream'
import type { ProtocolName } from '../exchanges/names.ts'
import type { ProblemCode } from '../http/problems.ts'

/** In the order of a request's way. Each is reached at most once, but not each by all. */
export type Stage =
  /** All of its body is here. */
  | 'arrived'
  /** It is an exchange, and can be forwarded. */
  | 'opened'
  /** A connection to the workload has it. */
  | 'forwarded'
  /** The head of the workload's response is here. */
  | 'answered'
  /** The response is about to be sealed. */
  | 'sealing'
  /** All of the workload's response is here. */
  | 'contentHere'
  /** The response begins to leave. */
  | 'responded'

/** Kinds of what goes wrong between here and the workload. */
export const WORKLOAD_ERRORS = [
  'refused', 'connect-timeout', 'headers-timeout', 'body-timeout', 'reset', 'tls', 'invalid', 'other'
] as const
export type WorkloadError = typeof WORKLOAD_ERRORS[number]

export type PassageProtocol = ProtocolName | 'none'

export interface PassageOptions {
  readonly requestId: string
  /** Told, in milliseconds, of each gap between two pieces of the response. */
  readonly onGap?: ((protocol: PassageProtocol, gap: number) => void) | undefined
}

export class Passage {
  readonly requestId: string
  /** `none` until it is known, and of the proxy's own endpoints. */
  protocol: PassageProtocol = 'none'
  /** That the proxy answered with; the last one, if there were several. */
  problem: ProblemCode | undefined
  workloadError: WorkloadError | undefined
  readonly begun: number
  /** Milliseconds of the same clock as `begun`; 0 if it was not reached. */
  arrived = 0
  opened = 0
  forwarded = 0
  answered = 0
  sealing = 0
  contentHere = 0
  responded = 0
  /** It is sealed before it leaves. */
  isSealed = false
  readonly #onGap: PassageOptions['onGap']

  constructor ({ requestId, onGap }: PassageOptions) {
    this.requestId = requestId
    this.begun = performance.now()
    this.#onGap = onGap
  }

  reached (stage: Stage): void {
    if (this[stage] === 0) this[stage] = performance.now()
  }

  /** The last attempt counts: an answer that could not be sealed is followed by one that says so. */
  seals (): void {
    this.isSealed = true
    this.sealing = performance.now()
  }

  workloadFailed (error: unknown): void {
    this.workloadError ??= kindOf(error)
  }

  /** Watches a response as it leaves. To be called before anyone reads it: a listener alone would set it flowing. */
  watch (response: Readable): void {
    const onGap = this.#onGap
    if (onGap === undefined) return
    let last: number | undefined
    response.once('resume', () => response.on('data', () => {
      const now = performance.now()
      if (last !== undefined) onGap(this.protocol, now - last)
      last = now
    }))
  }
}

/** How a request ended. */
export interface Ending {
  readonly ended: number
  /** Of the outer response, 1 to 5; 0 if none left. */
  readonly statusClass: number
  /** False if it was cut off. */
  readonly isComplete: boolean
  /** On the wire. */
  readonly received: number
  readonly sent: number
}

export interface Observer {
  begin? (): void
  end (passage: Passage, ending: Ending): void
  readonly onGap?: PassageOptions['onGap']
}

/** Milliseconds of the time to first byte. What of it was not reached is 0. */
export interface Shares {
  readonly opening: number
  readonly sealing: number
  /** From the head to the first byte, without waiting for client and workload. */
  readonly proxy: number
  readonly workload: number
}

/** Whose time it was. Waiting for a body ends with its last byte, if that was waited for at all. */
export function sharesOf (passage: Passage, until: number): Shares {
  const { begun, arrived, opened, forwarded, answered, sealing, contentHere } = passage
  const responded = passage.responded || until
  const openingBegan = within(arrived, begun, opened)
  const opening = opened === 0 ? 0 : opened - openingBegan
  const waitedFrom = within(arrived, forwarded, answered)
  const waited = answered === 0 || forwarded === 0 ? 0 : answered - waitedFrom
  const sealingBegan = within(contentHere, sealing, responded)
  const waitedForContent = sealing === 0 ? 0 : sealingBegan - sealing
  const waitedForClient = (openingBegan - begun) + (forwarded === 0 ? 0 : waitedFrom - forwarded)
  const workload = waited + waitedForContent
  return {
    opening,
    sealing: sealing === 0 ? 0 : responded - sealingBegan,
    proxy: Math.max(0, responded - begun - workload - waitedForClient),
    workload
  }
}

/** The time, if it is between the two; otherwise the earlier one. */
function within (time: number, from: number, to: number): number {
  return time > from && time < to ? time : from
}

const KINDS: readonly (readonly [RegExp, WorkloadError])[] = [
  [/^ECONNREFUSED$|^EHOSTUNREACH$|^ENETUNREACH$|^ENOTFOUND$|^EAI_/, 'refused'],
  [/^UND_ERR_CONNECT_TIMEOUT$/, 'connect-timeout'],
  [/^UND_ERR_HEADERS_TIMEOUT$/, 'headers-timeout'],
  [/^UND_ERR_BODY_TIMEOUT$/, 'body-timeout'],
  [/^ECONNRESET$|^EPIPE$|^UND_ERR_SOCKET$|^UND_ERR_CLOSED$|^ERR_STREAM_PREMATURE_CLOSE$/, 'reset'],
  [/CERT|^ERR_TLS|^ERR_SSL|^UNABLE_TO|^EPROTO$/, 'tls'],
  [/^HPE_|^UND_ERR_(?:HEADERS_OVERFLOW|RES_CONTENT_LENGTH_MISMATCH|INVALID_ARG|RES_EXCEEDED_MAX_SIZE)$/, 'invalid']
]

/** By its code alone: messages quote what the workload sent. */
function kindOf (error: unknown): WorkloadError {
  const { code } = (error ?? {}) as { code?: unknown }
  return KINDS.find(([pattern]) => typeof code === 'string' && pattern.test(code))?.[1] ?? 'other'
}
