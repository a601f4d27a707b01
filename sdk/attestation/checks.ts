/** Verdicts: lists of named checks, each with its outcome and a detail fit to be shown to a person. */
import type { AttestedKey } from '../../lib/protocols/attestation.ts'
import type { PlatformPolicies } from './policy.ts'
import type { Devices, Machine, Running, Software } from './verdict/subject.ts'

/**
 * `skipped`: the policy asks for nothing here, or an earlier failure left nothing to look at. The detail says which.
 */
export type Outcome = 'passed' | 'failed' | 'skipped'

/**
 * Whether evidence answers a nonce of this client's: it does; no nonce was sent; the document answers another; or the
 * evidence is appraised by itself, as a recording.
 */
export type Challenge = 'answered' | 'none' | 'other' | 'recording'

export interface Check {
  /** Stable, kebab-case; docs/attestation-policy.md lists them. */
  readonly name: string
  readonly outcome: Outcome
  /** Printable ASCII. Names what was expected and what was presented; holds no token. */
  readonly detail: string
}

export interface Verdict {
  /** No check failed. */
  readonly verified: boolean
  readonly tee: string
  readonly checks: readonly Check[]
  /** The keys that the document covers. Trust them only where `verified` is true. */
  readonly keys: readonly AttestedKey[]
  /** The policy section that pins exactly what was presented; what `polaris policy init` writes, for review. */
  readonly presented: PlatformPolicies
  /**
   * The protections that the proxy says its settings take back; undefined if it does not say. `polaris policy init`
   * pins them.
   */
  readonly weakenings?: readonly string[]
  /**
   * When the issuer made the evidence, by its own signed word. Undefined for hardware reports, which carry no time, and
   * unless verified.
   */
  readonly issuedAt?: Date | undefined
  /** When it was appraised. */
  readonly at?: Date
  /** Whether the evidence answers this client's nonce. */
  readonly challenge?: Challenge
  /** What the following members say is proven only if `verified` is true. */
  readonly machine?: Machine | undefined
  readonly software?: Software | undefined
  readonly devices?: Devices | undefined
}

/** What a platform's verifier finds. */
export interface Findings {
  readonly checks: readonly Check[]
  readonly presented: PlatformPolicies
  /** The time in the evidence that its issuer signed. */
  readonly issuedAt?: Date | undefined
  /** What the evidence is about. */
  readonly machine?: Machine
  /** The program that runs, as far as the evidence says: what provenance is asked of. */
  readonly running?: Running
}

/**
 * One check of a verifier of your own: passed or failed.
 *
 * @param detail is shortened to printable ASCII
 *
 * @example
 * ```ts
 * import { check } from '@polaris-secure-proxy/sdk/attestation'
 *
 * console.log(check('debug', false, 'The debug status is "enabled"').outcome)
 * ```
 */
export function check (name: string, passed: boolean, detail: string): Check {
  return { name, outcome: passed ? 'passed' : 'failed', detail: printable(detail) }
}

/**
 * One check of a verifier of your own that was not made. The detail says why.
 *
 * @example
 * ```ts
 * import { skipped } from '@polaris-secure-proxy/sdk/attestation'
 *
 * console.log(skipped('image', 'The policy accepts any image').outcome)
 * ```
 */
export function skipped (name: string, detail: string): Check {
  return { name, outcome: 'skipped', detail: printable(detail) }
}

/**
 * A check against a list of accepted values. Without a list there is nothing to check, and the detail says so.
 *
 * @param subject what the value is, e.g. 'The image digest'
 *
 * @example
 * ```ts
 * import { oneOfCheck } from '@polaris-secure-proxy/sdk/attestation'
 *
 * console.log(oneOfCheck('product', 'The product', ['Milan', 'Genoa'], 'Turin').detail)
 * ```
 */
export function oneOfCheck (
  name: string,
  subject: string,
  accepted: ReadonlyArray<string | number> | undefined,
  presented: unknown
): Check {
  if (!accepted) return skipped(name, `${subject} is ${show(presented)}; the policy accepts any`)
  const found = accepted.some(value => value === presented)
  return check(name, found, `${subject} is ${show(presented)}${found ? '' : ', which the policy does not accept'}`)
}

/**
 * A check against a list of accepted values, of a value whose form was checked already: without a list, it passed.
 *
 * @param subject what the value is, e.g. 'The guest policy'
 */
export function formedCheck (
  name: string,
  subject: string,
  accepted: readonly string[] | undefined,
  presented: string
): Check {
  if (!accepted) {
    return check(name, true, `${subject} is ${show(presented)}: no reserved bit is set; the policy pins none`)
  }
  return oneOfCheck(name, subject, accepted, presented)
}

/** A value from the wire for a detail: JSON, shortened. */
export function show (value: unknown): string {
  const text = value === undefined ? 'absent' : JSON.stringify(value)
  return text.length > 160 ? `${text.slice(0, 157)}...` : text
}

/** Presented values are the other side's choice: no control or direction characters reach a terminal. */
export function printable (text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
