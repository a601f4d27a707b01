/**
 * Whether traffic may pass, seen from the evidence about this platform: a small state machine over times, without
 * timers of its own.
 *
 *     waiting -- evidence --> fresh -- it expires --> grace -- grace ends --> failed
 *
 * New evidence leads back to fresh from anywhere. Evidence that the operator's own policy refuses leads to failed at
 * once: it shows that something is wrong, not that something is late.
 */

export type GateState = 'waiting' | 'fresh' | 'grace' | 'failed'

export interface GateStatus {
  readonly state: GateState
  readonly open: boolean
  /** Why it is not fresh, in words for operators: no secrets in them. */
  readonly reason: string | undefined
  /** Milliseconds since the evidence was obtained. */
  readonly evidenceAge: number | undefined
  /** Milliseconds until the evidence expires; negative once it has. */
  readonly evidenceExpiresIn: number | undefined
  readonly renewals: number
  /** Since the last success. */
  readonly failures: number
}

export interface Gate {
  status (): GateStatus
  /** When the gate will close unless new evidence comes, in milliseconds since 1970; undefined where it will not. */
  closesAt (): number | undefined
  /** @param expiresAt milliseconds since 1970 */
  obtained (expiresAt: number): void
  /** No evidence this time. */
  failed (reason: string): void
  /** Evidence there was, and it must not be served on. */
  refused (reason: string): void
}

export interface GateOptions {
  /** Without it the gate is always open, and only tells. */
  readonly required: boolean
  /** Milliseconds for which expired evidence is still good enough. */
  readonly grace: number
  readonly now?: () => number
}

export function createGate ({ required, grace, now = Date.now }: GateOptions): Gate {
  let evidence: { readonly obtainedAt: number, readonly expiresAt: number } | undefined
  let refusal = false
  let reason: string | undefined = 'no evidence yet'
  let renewals = 0
  let failures = 0

  function state (): GateState {
    if (refusal) return 'failed'
    if (!evidence) return 'waiting'
    if (now() < evidence.expiresAt) return 'fresh'
    return now() < evidence.expiresAt + grace ? 'grace' : 'failed'
  }

  return {
    status () {
      const current = state()
      return {
        state: current,
        open: !required || current === 'fresh' || current === 'grace',
        reason: current === 'fresh' ? undefined : reason ?? 'the evidence has expired',
        evidenceAge: evidence && now() - evidence.obtainedAt,
        evidenceExpiresIn: evidence && evidence.expiresAt - now(),
        renewals,
        failures
      }
    },
    closesAt: () => required && evidence && !refusal ? evidence.expiresAt + grace : undefined,
    obtained (expiresAt) {
      if (evidence) renewals++
      evidence = { obtainedAt: now(), expiresAt }
      refusal = false
      reason = undefined
      failures = 0
    },
    failed (why) {
      reason = why
      failures++
    },
    refused (why) {
      refusal = true
      reason = why
      failures++
    }
  }
}
