/**
 * Launch measurements that a predicate carries, so that a policy need not list them. Of other predicates, such as
 * SLSA's, the subject is what was built, and nothing else is read.
 */

/** SHA-384 in hexadecimal, lower case. */
export interface PredicateMeasurements {
  readonly snp?: string
  readonly tdx?: { readonly rtmr1: string, readonly rtmr2: string }
}

const REGISTER = /^[0-9a-f]{96}$/

type Reader = (predicate: Record<string, unknown>) => PredicateMeasurements | undefined

const readers: Readonly<Record<string, Reader>> = {
  'https://tinfoil.sh/predicate/snp-tdx-multiplatform/v1': ({ snp_measurement: snp, tdx_measurement: tdx }) => {
    const { rtmr1, rtmr2 } = isObject(tdx) ? tdx : {}
    return isRegister(snp) && isRegister(rtmr1) && isRegister(rtmr2) ? { snp, tdx: { rtmr1, rtmr2 } } : undefined
  }
}

/**
 * @returns undefined where a predicate of a kind that carries measurements lacks one; nothing in it where it carries
 *   none
 */
export function measurementsOf (predicateType: unknown, predicate: unknown): PredicateMeasurements | undefined {
  const reader =
    typeof predicateType === 'string' && Object.hasOwn(readers, predicateType) ? readers[predicateType] : undefined
  if (!reader) return {}
  return isObject(predicate) ? reader(predicate) : undefined
}

function isRegister (value: unknown): value is string {
  return typeof value === 'string' && REGISTER.test(value)
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
