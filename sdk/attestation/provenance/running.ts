/** Whether a bundle is about what runs: by the digest of its subject, or by measurements that its predicate carries. */
import { check, show, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { Running } from '../verdict/subject.ts'
import type { PredicateMeasurements } from './predicate.ts'

/** What the platform's section of the policy has settled already. */
export interface Settled {
  /** It pins the launch measurement, or for TDX the firmware's. */
  readonly measurement: boolean
  /** It pins host data, or says that they are of no matter. */
  readonly hostData: boolean
}

export function subjectCheck (
  digest: unknown, { digest: expected, snp, tdx }: Running, carried: PredicateMeasurements
): Check {
  const name = 'provenance-subject'
  const subject = `The first subject is sha256:${show(digest)}`
  if (tdx || (snp && (carried.snp !== undefined || expected === undefined))) {
    return skipped(name, `${subject}; what runs is known by its launch measurement`)
  }
  if (expected === undefined) return check(name, false, `${subject}; the evidence does not say what runs`)
  const same = typeof digest === 'string' && digest.toLowerCase() === expected.toLowerCase()
  return check(name, same, `${subject}, what runs is sha256:${show(expected)}`)
}

/** For platforms that measure what they launch. */
export function launchChecks (carried: PredicateMeasurements, { snp, tdx }: Running, settled: Settled): Check[] {
  if (snp) return [snpCheck(carried.snp, snp, settled)]
  return tdx ? [tdxCheck(carried.tdx, tdx, settled)] : []
}

const NAME = 'provenance-launch'

/** Host data names the program on Azure, where the measurement is everybody's. Elsewhere the measurement covers it. */
function snpCheck (
  carried: string | undefined, { measurement, hostData }: NonNullable<Running['snp']>, settled: Settled
): Check {
  if (carried === undefined) {
    const enough = hostData !== undefined && settled.measurement
    return enough
      ? check(NAME, true, 'The policy pins the launch measurement, and the subject is what the host data name')
      : check(
        NAME, false, 'The predicate carries no launch measurement of SEV-SNP, and the policy pins none beside host data'
      )
  }
  const text = `The launch measurement is ${measurement}, the predicate carries ${carried}`
  if (hostData !== undefined && !settled.hostData) {
    return check(
      NAME, false, `${text}; there are host data, too, which it does not cover: give hostData or "anyHostData": true`
    )
  }
  return check(NAME, measurement === carried, text)
}

/** Kernel and command line are in the predicate; the firmware is the cloud's, so that the policy has to pin it. */
function tdxCheck (
  carried: PredicateMeasurements['tdx'], { rtmr1, rtmr2 }: NonNullable<Running['tdx']>, settled: Settled
): Check {
  if (!carried) return check(NAME, false, 'The predicate carries no measurements of TDX')
  if (!settled.measurement) {
    return check(NAME, false, 'The predicate carries no MRTD, the firmware\'s measurement: give measurements with mrtd')
  }
  return check(NAME, rtmr1 === carried.rtmr1 && rtmr2 === carried.rtmr2,
    `RTMR1 is ${rtmr1}, the predicate carries ${carried.rtmr1}; RTMR2 is ${rtmr2}, the predicate carries ` +
      `${carried.rtmr2}`)
}
