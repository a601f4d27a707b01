/** Counts requests that could not be opened, by client: where keys are remote, each of them cost money. */
import { clientOf } from '../../http/caller.ts'

export interface FailedUnwraps {
  /** Seconds until the client may try again; undefined where it may now. */
  retryAfter (address: string): number | undefined
  failed (address: string): void
}

const WINDOW_MS = 60_000
/** Past this many clients in one window those longest known are forgotten. */
const MAX_CLIENTS = 100_000

/** @param limit failures in one window, a minute by the clock, after which a client has to wait for the next */
export function createFailedUnwraps (limit: number, now: () => number = Date.now): FailedUnwraps {
  const failures = new Map<string, number>()
  let window = 0

  function turn (): void {
    const present = Math.floor(now() / WINDOW_MS)
    if (present === window) return
    window = present
    failures.clear()
  }

  return {
    retryAfter (address) {
      turn()
      if ((failures.get(clientOf(address)) ?? 0) < limit) return undefined
      return Math.ceil(((window + 1) * WINDOW_MS - now()) / 1000)
    },
    failed (address) {
      turn()
      const client = clientOf(address)
      failures.set(client, (failures.get(client) ?? 0) + 1)
      if (failures.size > MAX_CLIENTS) failures.delete(failures.keys().next().value as string)
    }
  }
}
