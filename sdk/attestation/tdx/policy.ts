/** The section `tdx` of a policy. */
import { count, flag, hex, list, object, oneOf, someOf } from '../policy-rules.ts'
import type { PolicySection } from '../policy-rules.ts'
import { TCB_STATUSES } from './statuses.ts'
import type { TcbStatus } from './statuses.ts'

/** One accepted state of a trust domain: all registers that are named have to match. */
export interface TdxMeasurement {
  readonly mrtd?: string
  readonly rtmr0?: string
  readonly rtmr1?: string
  readonly rtmr2?: string
  readonly rtmr3?: string
}

/** Hexadecimal throughout. Lists hold alternatives. */
export interface TdxPolicy {
  readonly measurements?: readonly TdxMeasurement[]
  /** What the host gave at launch, the counterpart of SEV-SNP's host data: 48 bytes each. */
  readonly mrconfigid?: readonly string[]
  readonly mrowner?: readonly string[]
  readonly mrownerconfig?: readonly string[]
  /** The TDX module itself: 48 bytes each. */
  readonly mrseam?: readonly string[]
  readonly mrsignerseam?: readonly string[]
  /** 8 bytes each. */
  readonly seamAttributes?: readonly string[]
  readonly attributes?: readonly string[]
  readonly xfam?: readonly string[]
  /** Service TDs that may be bound. Left out: none. */
  readonly mrservicetd?: readonly string[]
  /** Platform models, 6 bytes each. */
  readonly fmspcs?: readonly string[]
  /** Makers of quoting enclaves, 16 bytes each. Left out: Intel alone. */
  readonly qeVendorIds?: readonly string[]
  /** Left out: UpToDate alone. */
  readonly tcbStatuses?: readonly TcbStatus[]
  /** 16 bytes, each of which is a least value. */
  readonly minimumTeeTcbSvn?: string
  /** Least number of Intel's evaluation, so that older collateral is refused that is still in its time. */
  readonly minimumTcbEvaluationDataNumber?: number
  /** Accepts domains that let the host cause virtualization exceptions. */
  readonly allowSeptVe?: boolean
  /** Accepts quotes that something follows. */
  readonly allowTrailingBytes?: boolean
  /** Asks for no collateral: patch level, revocation and quoting enclave stay unknown. Needs `"insecure": true`. */
  readonly withoutCollateral?: boolean
}

export const tdxSection: PolicySection<TdxPolicy> = {
  tee: 'tdx',
  form: object({
    measurements: list(someOf({ mrtd: hex(48), rtmr0: hex(48), rtmr1: hex(48), rtmr2: hex(48), rtmr3: hex(48) })),
    mrconfigid: list(hex(48)),
    mrowner: list(hex(48)),
    mrownerconfig: list(hex(48)),
    mrseam: list(hex(48)),
    mrsignerseam: list(hex(48)),
    seamAttributes: list(hex(8)),
    attributes: list(hex(8)),
    xfam: list(hex(8)),
    mrservicetd: list(hex(48)),
    fmspcs: list(hex(6)),
    qeVendorIds: list(hex(16)),
    tcbStatuses: list(oneOf(...TCB_STATUSES)),
    minimumTeeTcbSvn: hex(16),
    minimumTcbEvaluationDataNumber: count(0xffffffff),
    allowSeptVe: flag,
    allowTrailingBytes: flag,
    withoutCollateral: flag
  }),
  unpinned
}

const NEEDED = ['mrtd', 'rtmr1', 'rtmr2'] as const

/**
 * MRTD covers the firmware alone. The boot loader or kernel is in RTMR1, kernel, command line and initial ram disk are
 * in RTMR2: with either left open, the other says nothing about what runs.
 */
function unpinned ({ measurements = [], withoutCollateral }: TdxPolicy, built: boolean): string | undefined {
  if (withoutCollateral) return 'up withoutCollateral (a platform of unknown state runs what it likes)'
  // What a predicate does not carry of them is refused when it is looked at.
  if (built) return undefined
  if (measurements.length === 0) return 'measurements, each with mrtd, rtmr1 and rtmr2'
  const missing = measurements.flatMap((measurement, i) =>
    NEEDED.filter(register => measurement[register] === undefined).map(register => `measurements[${i}].${register}`)
  )
  return missing.length > 0 ? missing.join(', ') : undefined
}
