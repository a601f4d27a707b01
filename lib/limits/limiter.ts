/**
 * What one client may take: requests per second, bytes per minute, exchanges at once. Each client has an account of
 * three numbers, and of clients that took nothing lately there is none; so that memory is bounded, however many clients
 * there are.
 */

export interface ClientLimits {
  /** Requests per second, on average; 0 for any number. */
  readonly requestRate: number
  /** Requests that may come at once after a pause. */
  readonly burst: number
  /** Bytes on the wire per minute, both ways together; 0 for any number. */
  readonly bytesPerMinute: number
  /** Exchanges at once; 0 for any number. */
  readonly concurrency: number
}

export interface Verdict {
  readonly allowed: boolean
  /** Seconds until a request would be allowed again; 0 if this one was. */
  readonly retryAfter: number
  /** Requests that are left of the burst. */
  readonly remaining: number
  /** Seconds until the burst is whole again. */
  readonly reset: number
}

export interface ClientLimiter {
  /** Counts a request, if it is allowed: then it is to be ended. */
  take (client: string): Verdict | Promise<Verdict>
  /** An exchange ended, having moved so many bytes. */
  end (client: string, bytes: number): void
}

/** Whether there is any limit. */
export function limits ({ requestRate, bytesPerMinute, concurrency }: ClientLimits): boolean {
  return requestRate > 0 || bytesPerMinute > 0 || concurrency > 0
}

/** Times are theoretical arrival times (GCRA), in milliseconds: how far ahead of the clock a client has taken. */
interface Account {
  requests: number
  bytes: number
  open: number
}

const MINUTE = 60_000
/** Beyond so many accounts, those that were not used for longest give way, unless they have an open exchange. */
const MOST_ACCOUNTS = 100_000
/** Milliseconds that sums of fractions may be off by. */
const ROUNDING = 1e-3
/** What a refused client is told to wait for an exchange of its own to end. */
const CONCURRENCY_RETRY = 1

export interface MemoryLimiter extends ClientLimiter {
  take (client: string): Verdict
  readonly size: number
}

/** @param now a clock that cannot be set, in milliseconds */
export function createMemoryLimiter (
  { requestRate, burst, bytesPerMinute, concurrency }: ClientLimits, now: () => number = () => performance.now(),
  most = MOST_ACCOUNTS
): MemoryLimiter {
  const interval = requestRate > 0 ? 1000 / requestRate : 0
  /**
   * Two generations: an account that is used comes to the younger one, and what stays in the older one is dropped with
   * it.
   */
  let young = new Map<string, Account>()
  let old = new Map<string, Account>()
  let turnAt = now() + MINUTE
  /** Of the younger one, accounts that came over with it. */
  let carried = 0

  function accountOf (client: string, time: number): Account {
    if (time >= turnAt || young.size >= carried + most / 2) turn(time)
    let account = young.get(client)
    if (account !== undefined) return account
    account = old.get(client) ?? { requests: time, bytes: time, open: 0 }
    old.delete(client)
    young.set(client, account)
    return account
  }

  function turn (time: number): void {
    const isEarly = time < turnAt
    const kept = [...old].filter(
      ([, { requests, bytes, open }]) => open > 0 || (!isEarly && (requests > time || bytes > time))
    )
    old = young
    young = new Map(kept)
    carried = kept.length
    turnAt = time + MINUTE
  }

  return {
    take (client) {
      const time = now()
      const account = accountOf(client, time)
      const requests = Math.max(account.requests, time) + interval
      const ahead = requests - time
      const waits = [
        requestRate > 0 ? ahead - burst * interval : 0,
        bytesPerMinute > 0 ? account.bytes - time - MINUTE : 0
      ]
      const wait = Math.max(0, ...waits)
      const isBusy = concurrency > 0 && account.open >= concurrency
      const reset = seconds(requestRate > 0 ? Math.max(account.requests, time) - time : 0)
      if (wait > ROUNDING || isBusy) {
        return {
          allowed: false, retryAfter: Math.max(seconds(wait), isBusy ? CONCURRENCY_RETRY : 1), remaining: 0, reset
        }
      }
      account.requests = requests
      account.open++
      return {
        allowed: true,
        retryAfter: 0,
        remaining: requestRate > 0 ? Math.floor(burst - ahead / interval + ROUNDING) : 0,
        reset: seconds(requestRate > 0 ? ahead : 0)
      }
    },
    end (client, bytes) {
      const account = young.get(client) ?? old.get(client)
      if (account === undefined) return
      account.open = Math.max(0, account.open - 1)
      if (bytesPerMinute > 0) account.bytes = Math.max(account.bytes, now()) + bytes * MINUTE / bytesPerMinute
    },
    get size () { return young.size + old.size }
  }
}

function seconds (milliseconds: number): number {
  return Math.max(0, Math.ceil((milliseconds - ROUNDING) / 1000))
}

/**
 * Both have to allow it: the first for this group of processes, the second for all replicas. Should the second fail,
 * the first one alone counts.
 *
 * @param onState told when the second one fails, and when it works again
 */
export function layered (
  local: ClientLimiter, shared: ClientLimiter, onState: (works: boolean) => void
): ClientLimiter {
  let works = true
  function tell (state: boolean): void {
    if (state === works) return
    works = state
    onState(state)
  }
  return {
    async take (client) {
      const here = await local.take(client)
      if (!here.allowed) return here
      try {
        const there = await shared.take(client)
        tell(true)
        if (there.allowed) return there
        local.end(client, 0)
        return there
      } catch {
        tell(false)
        return here
      }
    },
    end (client, bytes) {
      local.end(client, bytes)
      shared.end(client, bytes)
    }
  }
}
