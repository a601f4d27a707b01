/**
 * Appraises pieces of evidence by themselves, from any source: the same verifiers and checks, without a proxy's
 * document.
 */
import type { TypedValue } from '../../lib/protocols/attestation.ts'
import { REPORT_DATA_BYTES } from '../../lib/protocols/attestation.ts'
import type { Verdict } from './checks.ts'
import type { VerifyOptions } from './context.ts'
import { parseAttestationPolicy } from './policy.ts'
import type { AttestationPolicy } from './policy.ts'
import { contextFor, isVerified, platformFindings, softwareOf, verifyDocument } from './verify.ts'

/** Evidence and what endorses it, as an attestation document holds them. */
export interface Pieces {
  readonly tee: string
  readonly evidence: readonly TypedValue[]
  readonly endorsements?: readonly TypedValue[]
}

export interface AppraisalOptions extends Omit<VerifyOptions, 'nonce'> {
  /** What a hardware report has to carry, 64 bytes. Without it, `bound` is not checked. */
  readonly reportData?: Uint8Array
  /** What a token has to carry as its nonce. Without it, `bound` is not checked. */
  readonly binding?: Uint8Array
}

/**
 * Evidence that is genuine and passes the policy was made once, for anyone: without `reportData` or `binding` it says
 * nothing about any key, and without a nonce nothing about when. The verdict says so, in checks that are `skipped`.
 *
 * @throws {AttestationFetchError} an issuer is unreachable: there is no verdict
 * @throws {AttestationPolicyError} the policy is malformed, or pins nothing
 * @throws {RangeError} the report data has not 64 bytes
 * @example
 * ```ts
 * import { readFile } from 'node:fs/promises'
 * import { appraise } from '@polaris-secure-proxy/sdk/attestation'
 *
 * const policy = { version: 1, insecure: true, platforms: { tdx: {} } } as const
 * const quote = (await readFile('quote.bin')).toString('base64url')
 * const verdict = await appraise({ tee: 'tdx', evidence: [['application/vnd.polaris.tdx-quote', quote]] }, policy)
 * console.log(verdict.verified)
 * ```
 */
export async function appraise (
  pieces: Pieces,
  policy: AttestationPolicy,
  options: AppraisalOptions = {}
): Promise<Verdict> {
  const { reportData, binding, ...rest } = options
  if (reportData && reportData.length !== REPORT_DATA_BYTES) {
    throw new RangeError(`Report data has ${REPORT_DATA_BYTES} bytes`)
  }
  const accepted = parseAttestationPolicy(policy, options.verifiers)
  const context = contextFor(
    {
      evidence: pieces.evidence,
      endorsements: pieces.endorsements ?? [],
      binding: binding && Uint8Array.from(binding),
      reportData: reportData && Uint8Array.from(reportData),
      challenge: 'recording'
    },
    accepted,
    rest
  )
  const { checks, presented, machine, source } = await platformFindings(pieces.tee, context, accepted)
  return {
    verified: isVerified(checks),
    tee: pieces.tee,
    checks,
    keys: [],
    presented,
    at: context.now,
    challenge: context.challenge,
    machine,
    software: softwareOf(source, pieces.tee, accepted, options.verifiers)
  }
}

/**
 * Appraises a saved attestation document. Unlike `verifyAttestation`, it takes a document without a nonce for a
 * recording: whether it was fresh is not checked, and the verdict says so.
 *
 * @example
 * ```ts
 * import { appraiseDocument, fetchAttestation } from '@polaris-secure-proxy/sdk/attestation'
 *
 * const policy = { version: 1, development: true, insecure: true, platforms: { simulated: {} } } as const
 * // Such as one that was stored: no nonce is expected of it.
 * const { document } = await fetchAttestation('https://proxy.example')
 * const { tee, checks } = await appraiseDocument(document, policy)
 * console.log(tee, checks.length)
 * ```
 *
 * @throws {AttestationDocumentError | AttestationFetchError | AttestationPolicyError}
 */
export function appraiseDocument (
  document: string | Uint8Array,
  policy: AttestationPolicy,
  options: VerifyOptions = {}
): Promise<Verdict> {
  return verifyDocument(document, policy, options, 'recording')
}
