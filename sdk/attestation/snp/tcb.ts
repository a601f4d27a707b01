/** TCB versions: where their parts are, in reports and in certificates, and the least that a policy accepts. */
import { check, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { SnpTcb } from './policy.ts'
import type { SnpProduct, SnpReport } from './report.ts'

/** Object identifiers of AMD's certificate extensions (AMD 57230). */
export const TCB_EXTENSIONS: Readonly<Record<keyof SnpTcb, string>> = {
  bootloader: '1.3.6.1.4.1.3704.1.3.1',
  tee: '1.3.6.1.4.1.3704.1.3.2',
  snp: '1.3.6.1.4.1.3704.1.3.3',
  microcode: '1.3.6.1.4.1.3704.1.3.8',
  fmc: '1.3.6.1.4.1.3704.1.3.9'
}

/** Where each part is in the 8 bytes of a TCB version. */
export const TCB_LAYOUT: Readonly<Record<SnpProduct, ReadonlyArray<readonly [part: keyof SnpTcb, at: number]>>> = {
  Milan: [
    ['bootloader', 0],
    ['tee', 1],
    ['snp', 6],
    ['microcode', 7]
  ],
  Genoa: [
    ['bootloader', 0],
    ['tee', 1],
    ['snp', 6],
    ['microcode', 7]
  ],
  Turin: [
    ['fmc', 0],
    ['bootloader', 1],
    ['tee', 2],
    ['snp', 3],
    ['microcode', 7]
  ]
}

/**
 * Part by part, the lower of what is certified now and what was at launch: what firmware with a hole did to a guest at
 * its launch stays done when the host updates the firmware below it.
 */
export function effectiveTcb (certified: SnpTcb, { launchTcb }: SnpReport, product: SnpProduct): SnpTcb {
  return Object.fromEntries(
    TCB_LAYOUT[product].map(([part, at]) => [part, Math.min(certified[part] ?? 0, launchTcb[at] ?? 0)])
  )
}

export function tcbCheck (tcb: SnpTcb, minimum: SnpTcb | undefined): Check {
  const name = 'tcb'
  const text = Object.entries(tcb)
    .map(([part, value]) => `${part} ${value}`)
    .join(', ')
  const described = `The TCB version, as certified now and at launch, is at least ${text}`
  if (!minimum) return skipped(name, `${described}; the policy accepts any`)
  const low = (Object.keys(minimum) as Array<keyof SnpTcb>).filter(part => (tcb[part] ?? -1) < (minimum[part] ?? 0))
  return check(name, low.length === 0, `${described}${low.length > 0 ? `: too low in ${low.join(', ')}` : ''}`)
}
