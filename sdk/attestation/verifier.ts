/** The seam between the common part of an appraisal and the platforms: one verifier for each kind of evidence. */
import type { Findings } from './checks.ts'
import type { VerifierContext } from './context.ts'
import type { PolicySection } from './policy-rules.ts'

/** Appraises one kind of evidence, by its section of the policy. */
export interface Verifier<Policy = unknown> extends PolicySection<Policy> {
  /**
   * Checks everything it can, in the order of the platform's specification.
   *
   * @throws {AttestationFetchError} somebody has to be asked and cannot be: there is no verdict
   */
  verify (context: VerifierContext, policy: Policy): Promise<Findings>
}
