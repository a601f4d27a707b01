/** How far the clocks of this machine and of servers are apart, between two looks at the servers'. */
import { monotonic } from './generations.ts'

export interface ClockComparison {
  /** Takes note of what the clocks of the servers say, in milliseconds since 1970; the one furthest off counts. */
  compare (times: readonly number[]): void
  /** How far they are ahead of this machine's, in milliseconds; 0 as long as that is unknown. */
  ahead (): number
}

/** @param now the clock of this machine: unlike the one that it is measured by, it can be set */
export function createClockComparison (now: () => number): ClockComparison {
  let serverClock: number | undefined
  return {
    compare (times) {
      const [furthest] = times.toSorted((a, b) => Math.abs(b - now()) - Math.abs(a - now()))
      serverClock = furthest === undefined ? undefined : furthest - monotonic()
    },
    ahead: () => serverClock === undefined ? 0 : serverClock + monotonic() - now()
  }
}
