/** Counts requests that could not be opened, by client: where keys are remote, each of them cost money. */
import { clientOf } from '../../http/caller.ts'
import { createMinuteCounts } from '../../limits/minute-counts.ts'
import type { MinuteCounts } from '../../limits/minute-counts.ts'

export interface FailedUnwraps {
  /** Seconds until the client may try again; undefined where it may now. */
  retryAfter (address: string): Promise<number | undefined>
  failed (address: string): Promise<void>
}

/** @param limit failures in one minute, after which a client has to wait for the next */
export function createFailedUnwraps (limit: number, counts: MinuteCounts = createMinuteCounts()): FailedUnwraps {
  return {
    async retryAfter (address) {
      const { count, left } = await counts.add(clientOf(address), 0)
      return count < limit ? undefined : Math.ceil(left / 1000)
    },
    async failed (address) { await counts.add(clientOf(address), 1) }
  }
}
