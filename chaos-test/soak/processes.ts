/** The processes that are soaked: how they end, and what they leave open. */
import { setTimeout } from 'node:timers/promises'
import type { Replica } from '../fixtures/group.ts'
import { sampleOf } from './memory.ts'

/** What a process opens at first use and keeps, such as a connection to a Sentinel. */
export const SPARE_DESCRIPTORS = 8

export function crashOf ({ server: { child, stderr } }: Replica): string[] {
  return [
    ...child.exitCode !== null || child.signalCode !== null ? [`ended: ${child.exitCode ?? child.signalCode}`] : [],
    ...stderr() === '' ? [] : [stderr()]
  ]
}

/** Idle connections are closed after a while: descriptors are counted once they are no more than before. */
export async function descriptorsAtRest (
  processes: readonly { readonly pid: number }[], idle: readonly number[]
): Promise<number[]> {
  for (let i = 0; ; i++) {
    const found = processes.map(({ pid }) => sampleOf(pid, 0)?.descriptors ?? Infinity)
    if (i === 40 || found.every((count, at) => count <= (idle[at] ?? 0) + SPARE_DESCRIPTORS)) return found
    await setTimeout(500)
  }
}
