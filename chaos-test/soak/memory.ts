/** Memory and descriptors of processes, as Linux counts them, and whether they grow. */
import { readFileSync, readdirSync } from 'node:fs'

export interface Sample {
  /** Milliseconds since the beginning. */
  readonly at: number
  /** Resident memory in MB. */
  readonly rss: number
  readonly descriptors: number
}

/** Undefined if there is no such process any more. */
export function sampleOf (pid: number, at: number): Sample | undefined {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return { at, rss: Number(kib) / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

const SPAN = 60_000
export const TEN_MINUTES = 600_000

/**
 * How much resident memory grows, in MB in ten minutes: the median of the slopes between the lowest values of each
 * minute (Theil and Sen), which neither garbage that waits nor one large message moves.
 *
 * @param from when it is warm, in milliseconds
 */
export function growth (samples: readonly Sample[], from: number): number | undefined {
  const warm = samples.filter(({ at }) => at >= from)
  const lowest = [...Map.groupBy(warm, ({ at }) => Math.floor(at / SPAN)).values()]
    .map(minute => minute.reduce((least, sample) => sample.rss < least.rss ? sample : least))
  const slopes = lowest.flatMap(
    (first, i) => lowest.slice(i + 1).map(second => (second.rss - first.rss) / (second.at - first.at))
  ).toSorted((a, b) => a - b)
  const middle = slopes[Math.floor(slopes.length / 2)]
  return middle === undefined ? undefined : middle * TEN_MINUTES
}
