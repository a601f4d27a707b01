/** The section `simulated` of a policy. */
import { list, matching, object } from '../policy-rules.ts'
import type { PolicySection } from '../policy-rules.ts'

export interface SimulatedPolicy {
  /** RFC 7638 thumbprints of development roots. */
  readonly roots?: readonly string[]
}

export const simulatedSection: PolicySection<SimulatedPolicy> = {
  tee: 'simulated',
  form: object({ roots: list(matching(/^[\w-]{43}$/)) }),
  development: true,
  unpinned: ({ roots = [] }) => (roots.length > 0 ? undefined : 'roots')
}
