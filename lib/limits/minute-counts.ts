/**
 * How often each client did something within the present minute. For what is rare and costs much, such as a request for
 * evidence: rates are in limiter.ts.
 */

export interface MinuteCounts {
  /** Adds to the count of a client, and returns it. Nothing is added by 0. */
  add (client: string, by: 0 | 1): MinuteCount | Promise<MinuteCount>
}

/** Those of one process. */
export interface LocalCounts extends MinuteCounts {
  add (client: string, by: 0 | 1): MinuteCount
}

export interface MinuteCount {
  readonly count: number
  /** Milliseconds until the minute is over, and all counts are 0. */
  readonly left: number
}

/** What a group of processes counts together. */
export interface GroupCounts {
  /** Requests for evidence. */
  readonly evidence: MinuteCounts
  /** Requests that could not be opened, if each costs a remote operation. */
  readonly failedUnwraps: MinuteCounts
}

const MINUTE = 60_000
/** Past this many clients in one minute those longest known are forgotten: half of them at once. */
const MAX_CLIENTS = 100_000

/** @param now a clock that cannot be set, in milliseconds */
export function createMinuteCounts (now: () => number = () => performance.now()): LocalCounts {
  // Two generations: what is counted comes to the younger one. To delete one by one from a map would take ever longer.
  let young = new Map<string, number>()
  let old = new Map<string, number>()
  let minute = 0
  return {
    add (client, by) {
      const time = now()
      const present = Math.floor(time / MINUTE)
      const isOver = present !== minute
      minute = present
      if (isOver || young.size >= MAX_CLIENTS / 2) {
        old = isOver ? new Map() : young
        young = new Map()
      }
      const count = (young.get(client) ?? old.get(client) ?? 0) + by
      if (by > 0) young.set(client, count)
      return { count, left: (minute + 1) * MINUTE - time }
    }
  }
}

export function createGroupCounts (): GroupCounts {
  return { evidence: createMinuteCounts(), failedUnwraps: createMinuteCounts() }
}
