/**
 * A replay store in memory. It is bounded: when full it refuses, and forgets nothing early. What it forgets stays
 * refused by its date, so that setting the clock back admits nothing again.
 */
import { createDigestSet } from './digest-set.ts'
import { createGenerations, monotonic } from './generations.ts'
import { ReplayStoreError } from './store.ts'
import type { ReplayStore } from './store.ts'

export interface MemoryReplayOptions {
  /** How long to remember at least, in milliseconds. */
  readonly remember: number
  /** Most digests of one generation. */
  readonly capacity: number
  /** How much time has passed, in milliseconds, from whenever; never less than before. */
  readonly now?: () => number
}

export function createMemoryReplayStore ({ remember, capacity, now = monotonic }: MemoryReplayOptions): ReplayStore {
  /** The latest date of all that was forgotten. */
  let horizon = -Infinity
  const generations = createGenerations(remember, now,
    () => ({ digests: createDigestSet(), latest: -Infinity }),
    ({ latest }) => { horizon = Math.max(horizon, latest) })

  return {
    admit (digest, date) {
      const { current, previous } = generations.now()
      if (date !== undefined && date <= horizon) return false
      if (previous.digests.has(digest) || current.digests.has(digest)) return false
      if (current.digests.size >= capacity) throw new ReplayStoreError('The replay store is full')
      current.digests.add(digest)
      if (date !== undefined) current.latest = Math.max(current.latest, date)
      return true
    },
    problem: () => generations.now().current.digests.size >= capacity ? 'full; it empties by itself' : undefined,
    usage: () => ({ entries: generations.now().current.digests.size, capacity }),
    close: async () => undefined
  }
}
