/**
 * Limits for private-key operations that leave the process: how many at once, how many wait, how long each may take,
 * and a circuit that opens when the other side fails, so that it is left alone and callers hear it at once.
 */
import { KeysBusyError, UnwrapError } from '../provider.ts'
import { withTimeout } from '../../remote/retry.ts'

/** Times are in milliseconds. */
export interface RemoteLimitsOptions {
  /** Operations under way at the same time. Default: 32. */
  readonly maxConcurrent?: number
  /** Operations that may wait for their turn. Default: 256. */
  readonly maxPending?: number
  /** What one operation may take, waiting not included. Default: 5000. */
  readonly timeout?: number
  /** Failures in a row that open the circuit. Default: 5. */
  readonly failureThreshold?: number
  /** How long the circuit stays open before one operation may try. Default: 10 000. */
  readonly coolDown?: number
  /** A monotonic clock, for tests. */
  readonly now?: () => number
}

export interface RemoteLimits {
  /**
   * Runs an operation within the limits. An `UnwrapError` is an answer of a healthy remote side; anything else that it
   * throws is a failure. A failure with a numeric `retryAfter` (seconds) opens the circuit at once, for that long.
   *
   * @throws {UnwrapError} what the operation found
   * @throws {KeysBusyError} a limit was met, the circuit is open, or the operation failed
   */
  run<T> (operation: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Whether the circuit is open, that is, operations are refused. */
  readonly open: boolean
}

/** `onFailure` hears of every failed operation, for the log. */
export function createRemoteLimits (
  options: RemoteLimitsOptions, onFailure: (error: unknown, open: boolean) => void
): RemoteLimits {
  const {
    maxConcurrent = 32, maxPending = 256, timeout = 5000, failureThreshold = 5, coolDown = 10_000,
    now = () => performance.now()
  } = options
  const waiting: Array<() => void> = []
  let running = 0
  let failures = 0
  let openUntil = -Infinity
  let probing = false

  const closed = () => failures < failureThreshold
  const secondsLeft = () => Math.max(1, Math.ceil((openUntil - now()) / 1000))

  /** Refuses while the circuit is open, but for one operation after the cool-down, which decides how it goes on. */
  function enter (): boolean {
    if (closed()) return false
    if (now() < openUntil || probing) throw new KeysBusyError(secondsLeft())
    probing = true
    return true
  }

  /** An answer that was under way when the circuit opened says nothing about what comes after. */
  function answered (): void {
    if (now() >= openUntil) failures = 0
  }

  function failed (error: unknown): void {
    const { retryAfter } = error instanceof Error ? error as { retryAfter?: unknown } : {}
    const asked = typeof retryAfter === 'number' && retryAfter > 0 ? retryAfter * 1000 : 0
    failures = asked > 0 ? Math.max(failures + 1, failureThreshold) : failures + 1
    if (!closed()) openUntil = Math.max(openUntil, now() + (asked || coolDown))
    onFailure(error, !closed())
  }

  async function takeTurn (): Promise<void> {
    if (running < maxConcurrent) {
      running++
      return
    }
    if (waiting.length >= maxPending) throw new KeysBusyError()
    // A finished operation hands its place over, so that running need not change.
    await new Promise<void>(resolve => { waiting.push(resolve) })
  }

  function endTurn (): void {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }

  return {
    async run (operation) {
      if (!closed() && now() < openUntil) throw new KeysBusyError(secondsLeft())
      await takeTurn()
      let probe = false
      try {
        probe = enter()
        const result = await withTimeout(operation, timeout)
        answered()
        return result
      } catch (error) {
        if (error instanceof KeysBusyError) throw error
        if (error instanceof UnwrapError) {
          answered()
          throw error
        }
        failed(error)
        throw new KeysBusyError(closed() ? 1 : secondsLeft(), { cause: error })
      } finally {
        if (probe) probing = false
        endTurn()
      }
    },

    get open () {
      return !closed() && now() < openUntil
    }
  }
}
