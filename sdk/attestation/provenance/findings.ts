/** Provenance of what a platform's evidence is about, by the policy and by whatever bundles there are. */
import { check } from '../checks.ts'
import type { Check, Findings } from '../checks.ts'
import type { VerifierContext } from '../context.ts'
import type { AttestationPolicy } from '../policy.ts'
import { appraiseProvenance } from './index.ts'
import type { ProvenanceFindings } from './index.ts'
import type { Running } from '../verdict/subject.ts'
import type { Settled } from './running.ts'
import { candidates } from './sources.ts'

/** Either settles which launch it was. */
const LAUNCH_CHECKS = ['measurement', 'utility-vm']
const NO_BUNDLE =
  'There is no Sigstore bundle: not beside the policy, not in it, and not among the endorsements of the document'

/** The first bundle that passes, or the one that fails the fewest checks. None, unless the policy asks for it. */
export async function provenanceFindings (
  { checks, running = {} }: Findings,
  context: VerifierContext,
  policy: AttestationPolicy
): Promise<Pick<ProvenanceFindings, 'checks' | 'source'>> {
  const { provenance } = policy
  if (!provenance) return { checks: [], source: undefined }
  const { provenance: sources = {} } = context.options
  const { trustedRoot, verifier } = sources
  let best: ProvenanceFindings | undefined
  for (const { bundle, from } of candidates(sources, provenance, context.endorsements)) {
    const found = await appraiseProvenance(bundle, {
      policy: provenance,
      running,
      settled: settledBy(checks, running, policy),
      from,
      now: context.now,
      ...trustedRoot !== undefined && { trustedRoot },
      ...verifier && { verifier }
    })
    if (failures(found) === 0) return found
    if (!best || failures(found) < failures(best)) best = found
  }
  return best
    ? { checks: best.checks, source: undefined }
    : { checks: [check('provenance-bundle', false, NO_BUNDLE)], source: undefined }
}

function failures ({ checks }: Pick<ProvenanceFindings, 'checks'>): number {
  // One that could not be read has one failure only, and says the least.
  return checks.length === 1 ? Infinity : checks.filter(({ outcome }) => outcome === 'failed').length
}

function settledBy (checks: readonly Check[], { tdx: domain }: Running, { platforms }: AttestationPolicy): Settled {
  const { 'sev-snp': { hostData, anyHostData } = {}, tdx: { measurements = [] } = {} } = platforms
  const passed = checks.some(({ name, outcome }) => LAUNCH_CHECKS.includes(name) && outcome === 'passed')
  return {
    measurement: passed && (!domain || measurements.every(({ mrtd }) => mrtd !== undefined)),
    hostData: hostData !== undefined || anyHostData === true
  }
}
