/** What must hold after a soak. */
import type { Test } from 'tap'
import { SPARE_DESCRIPTORS } from './processes.ts'
import type { Report } from './report.ts'

/** MB in ten minutes. */
const MOST_GROWTH = 1

/** @param isLong whether it took long enough to tell whether memory grows */
export function expectations (t: Test, report: Report, isLong: boolean): void {
  t.ok(report.exchanges > 100, `${report.exchanges} exchanges`)
  t.strictSame(report.wrong, {}, 'no wrong answer')
  t.strictSame(report.repeated, [], 'no request was forwarded twice')
  t.ok(report.replays > 0, `${report.replays} replays were refused`)
  t.strictSame(report.crashes, [], 'no crash')
  t.ok(report.failovers > 0, `Redis failed over ${report.failovers} times`)
  t.ok(report.rotations > 0, `keys were rotated ${report.rotations} times`)
  for (const { name, descriptors: [before, after], growth } of report.processes) {
    t.ok(after <= before + SPARE_DESCRIPTORS, `${name}: ${after} descriptors of ${before} are left open`)
    if (isLong) t.ok((growth ?? 0) < MOST_GROWTH, `${name}: memory grows by ${growth?.toFixed(2)} MB in ten minutes`)
  }
}
