/** What a process says of itself when it is asked: its numbers, and whether it can work. */
import type { Meter, Snapshot } from './meter.ts'

export interface Report {
  readonly snapshot: Snapshot
  /** Why it cannot serve; empty if it can. */
  readonly reasons: readonly string[]
}

/** @param worker what the process is called in labels */
export async function reportOf (
  meter: Meter, reasons: () => Promise<readonly string[]>, worker: string
): Promise<Report> {
  const found = await reasons()
  return { snapshot: { ...meter.snapshot(), ready: [[[worker], [Number(found.length === 0)]]] }, reasons: found }
}
