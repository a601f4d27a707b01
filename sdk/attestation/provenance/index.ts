/**
 * Provenance: that what runs was built by a repository's own workflow, by a Sigstore bundle. The bundle authenticates
 * itself, so that its source need not be trusted.
 */
import trustedRoot from './trusted-root.json' with { type: 'json' }
import { check, oneOfCheck, show, skipped } from '../checks.ts'
import type { Running } from '../verdict/subject.ts'
import type { Check } from '../checks.ts'
import { BundleError, parseBundle } from './bundle.ts'
import type { ProvenanceBundle } from './bundle.ts'
import { workflowIdentity } from './identity.ts'
import type { WorkflowIdentity } from './identity.ts'
import { SigstoreAbsentError, loadSigstore } from './library.ts'
import type { SigstoreVerifier } from './library.ts'
import { GITHUB_ISSUER, IN_TOTO_PAYLOAD, TAGS } from './policy.ts'
import type { ProvenancePolicy } from './policy.ts'
import { measurementsOf } from './predicate.ts'
import type { PredicateMeasurements } from './predicate.ts'
import { launchChecks, subjectCheck } from './running.ts'
import type { Settled } from './running.ts'

export type { SigstoreVerifier } from './library.ts'
export type { ProvenancePolicy } from './policy.ts'
export type { PredicateMeasurements } from './predicate.ts'

/** The trusted root that is shipped is the one in `@sigstore/tuf` 5.0.1, of this day. */
export const TRUSTED_ROOT_DATE = '2026-11-05'
export const shippedTrustedRoot: unknown = trustedRoot
const DAY_MS = 86_400_000

export interface ProvenanceOptions {
  readonly policy: ProvenancePolicy
  /** What the bundle has to be about. */
  readonly running: Running
  /** What else is known of it; nothing, if absent. */
  readonly settled?: Settled
  /** Where the bundle comes from, for people: goes after "A Sigstore bundle". */
  readonly from?: string
  /** When it is appraised; now, if absent. */
  readonly now?: Date
  /** Sigstore's trusted root, parsed; the shipped one of the public instance, if absent. */
  readonly trustedRoot?: unknown
  /** Instead of the optional `@sigstore` packages. */
  readonly verifier?: SigstoreVerifier
}

export interface ProvenanceFindings {
  readonly checks: readonly Check[]
  /** Launch measurements that the predicate vouches for. Trust them only where no check failed. */
  readonly measurements: PredicateMeasurements
  /** Where it was built, e.g. `owner/name` and `refs/tags/v1.0.0`. Trust it only where no check failed. */
  readonly source: { readonly repository: string, readonly ref: string } | undefined
}

/**
 * Checks everything it can, so that the findings name each failure and not only the first one.
 *
 * @param bundle JSON text, or what was parsed from it
 */
export async function appraiseProvenance (bundle: unknown, options: ProvenanceOptions): Promise<ProvenanceFindings> {
  const { policy, running, settled = { measurement: false, hostData: false }, from, now = new Date() } = options
  const parsed = attempt(() => parseBundle(bundle))
  if (parsed instanceof Error) {
    return nothing(parsed instanceof BundleError ? parsed.message : 'The bundle is malformed')
  }
  const identity = attempt(() => workflowIdentity(parsed.certificate))
  if (identity instanceof Error) return nothing('The bundle\'s certificate is malformed')
  const { type, predicateType, predicate, digest } = parsed.statement
  const measurements = measurementsOf(predicateType, predicate)
  return {
    checks: [
      check(
        'provenance-bundle', true, `A Sigstore bundle with an in-toto statement${from === undefined ? '' : `, ${from}`}`
      ),
      await signatureCheck(parsed, options, now),
      logCheck(parsed, policy),
      timeCheck(parsed, policy, now),
      oneOfCheck(
        'provenance-issuer', 'The issuer of the workflow\'s identity', [policy.issuer ?? GITHUB_ISSUER], identity.issuer
      ),
      ...sourceChecks(identity, policy),
      oneOfCheck(
        'provenance-payload', 'The type of what was signed', [policy.payloadType ?? IN_TOTO_PAYLOAD], parsed.payloadType
      ),
      oneOfCheck('provenance-statement', 'The type of the statement', policy.statementTypes, type),
      oneOfCheck('provenance-predicate', 'The type of the predicate', policy.predicateTypes, predicateType),
      subjectCheck(digest, running, measurements ?? {}),
      ...launchChecks(measurements ?? {}, running, settled),
      check('provenance-measurements', measurements !== undefined, measurements === undefined
        ? 'The predicate lacks a measurement of its kind'
        : `The predicate carries ${Object.keys(measurements).length === 0
          ? 'no measurements'
          : `measurements for ${Object.keys(measurements).join(', ')}`}`)
    ],
    measurements: measurements ?? {},
    source: { repository: identity.repositories[0] ?? '', ref: identity.refs[0] ?? '' }
  }
}

function nothing (detail: string): ProvenanceFindings {
  return { checks: [check('provenance-bundle', false, detail)], measurements: {}, source: undefined }
}

function attempt<T> (read: () => T): T | Error {
  try {
    return read()
  } catch (error) {
    return error instanceof Error ? error : new Error('unknown error')
  }
}

/** The library's part, from the trusted root down: certificate, its timestamps, the log, the signature. */
async function signatureCheck ({ json }: ProvenanceBundle, options: ProvenanceOptions, now: Date): Promise<Check> {
  const { policy, verifier, trustedRoot: given = policy.trustedRoot } = options
  const name = 'provenance-signature'
  try {
    const { verify } = verifier ?? await loadSigstore()
    verify(json, given ?? trustedRoot, {
      logEntries: Math.max(1, policy.minimumLogEntries ?? 1),
      certificateTimestamps: Math.max(1, policy.minimumCertificateTimestamps ?? 1),
      timestamps: Math.max(1, policy.minimumTimestamps ?? 1)
    })
    return check(name, true, `Signed and logged as Sigstore's trusted root ${given === undefined
      ? shippedRoot(now)
      : 'that was given'} demands`)
  } catch (error) {
    if (error instanceof SigstoreAbsentError) return check(name, false, error.message)
    const { code, message } = error instanceof Error
      ? error as Error & { code?: unknown }
      : { code: undefined, message: 'unknown error' }
    return check(name, false, `Sigstore refuses it: ${message}${typeof code === 'string' ? ` (${code})` : ''}`)
  }
}

/** Its age, since a root that is too old knows no keys of today, and may still know some that were given up. */
function shippedRoot (now: Date): string {
  const days = Math.floor((now.getTime() - Date.parse(TRUSTED_ROOT_DATE)) / DAY_MS)
  return days < 0 ? `of ${TRUSTED_ROOT_DATE}` : `of ${TRUSTED_ROOT_DATE}, ${days === 1 ? 'a day' : `${days} days`} old,`
}

function logCheck ({ logEntries }: ProvenanceBundle, { maximumLogEntries: most }: ProvenancePolicy): Check {
  const name = 'provenance-log'
  const count = logEntries.length
  if (!logEntries.every(({ consistent }) => consistent)) {
    return check(name, false, 'A proof of inclusion has another root than the log\'s checkpoint')
  }
  return check(name, count >= 1 && (most === undefined || count <= most),
    `The bundle has ${count} entries of a transparency log, ${most === undefined
      ? 'at least one is'
      : `1 to ${most} are`} expected`)
}

/** A minute is for clocks that differ. */
function timeCheck ({ logEntries }: ProvenanceBundle, { notBefore }: ProvenancePolicy, now: Date): Check {
  const name = 'provenance-time'
  const times = logEntries.map(({ time }) => time).filter(time => time !== undefined)
  const [first] = times.sort((a, b) => a.getTime() - b.getTime())
  if (!first) {
    return notBefore === undefined
      ? skipped(name, 'The log has no time; the policy accepts any')
      : check(name, false, 'The log has no time')
  }
  const text = `Logged at ${first.toISOString()}`
  if (first.getTime() > now.getTime() + 60_000) return check(name, false, `${text}, which is in the future`)
  if (notBefore === undefined) return check(name, true, text)
  return check(name, first >= new Date(notBefore), `${text}, ${notBefore} at the earliest is accepted`)
}

function sourceChecks ({ repositories, refs, workflow = '' }: WorkflowIdentity, policy: ProvenancePolicy): Check[] {
  const { repository } = policy
  const pattern = policy.ref ?? `${policy.refPrefix ?? TAGS}*`
  const files = policy.workflow === undefined ? undefined : [policy.workflow, `${repository}/${policy.workflow}`]
  return [
    check('provenance-repository', repositories.length > 0 && repositories.every(name => name === repository),
      `The source is ${show(repositories.join(', '))}, ${show(repository)} is expected`),
    files
      ? check(
        'provenance-workflow', files.includes(workflow),
        `The workflow is ${show(workflow)}, ${show(policy.workflow)} is expected`
      )
      : check(
        'provenance-workflow', workflow.startsWith(`${repository}/`),
        `The workflow is ${show(workflow)}, any of ${show(repository)} is accepted`
      ),
    check('provenance-ref', refs.length > 0 && refs.every(ref => matches(ref, pattern)),
      `The git reference is ${show(refs.join(', '))}, ${show(pattern)} is expected`)
  ]
}

/** @param pattern in which one `*` stands for anything */
function matches (text: string, pattern: string): boolean {
  const [head = '', tail] = pattern.split('*', 2)
  if (tail === undefined) return text === head
  return text.length >= head.length + tail.length && text.startsWith(head) && text.endsWith(tail)
}
