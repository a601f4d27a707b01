/** Repeats what may succeed later: exponential backoff with jitter, each attempt and the whole with a time limit. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RemoteError, safeCode } from './error.ts'

/** Times are in milliseconds. */
export interface RetryPolicy {
  /** About what to wait before the second attempt; doubles from there. Default: 1000. */
  readonly firstDelay?: number
  /** Default: 30 000. */
  readonly maxDelay?: number
  /** No attempt begins later than this after the first. Default: 300 000. */
  readonly deadline?: number
  /** What one attempt may take. Default: 30 000. */
  readonly attemptTimeout?: number
  /** Whether what was refused is tried again, as what is transient. Default: true. */
  readonly retryRefused?: boolean
  /** Instead of backoff and deadline: so many retries, so far apart. */
  readonly fixed?: { readonly retries: number, readonly interval: number }
}

/** Hears of every failed attempt: what went wrong, and after how many milliseconds the next begins, if one does. */
export type OnFailure = (error: RemoteError, attempt: number, retryIn: number | undefined) => void

/**
 * Runs `attempt` until it succeeds.
 *
 * @throws {RemoteError} that of the last attempt: of a kind that is not tried again, or the deadline passed
 * @throws the reason of `signal`, once it is aborted
 */
export async function retry<T> (
  attempt: (signal: AbortSignal) => Promise<T>, policy: RetryPolicy, signal: AbortSignal, onFailure: OnFailure
): Promise<T> {
  const {
    firstDelay = 1000, maxDelay = 30_000, deadline = 300_000, attemptTimeout = 30_000, retryRefused = true, fixed
  } = policy
  const start = performance.now()
  for (let count = 1; ; count++) {
    try {
      return await withTimeout(attempt, attemptTimeout, signal)
    } catch (cause) {
      signal.throwIfAborted()
      const error = asRemoteError(cause)
      const backoff = Math.min(maxDelay, firstDelay * 2 ** (count - 1))
      const wait = Math.max(
        fixed?.interval ?? backoff / 2 + Math.random() * backoff / 2, (error.retryAfter ?? 0) * 1000
      )
      const over = fixed === undefined ? performance.now() - start + wait > deadline : count > fixed.retries
      if (error.kind === 'configuration' || (error.kind === 'refused' && !retryRefused) || over) {
        onFailure(error, count, undefined)
        throw error
      }
      onFailure(error, count, Math.round(wait))
      await sleep(wait, undefined, { signal })
    }
  }
}

/** What `withTimeout` rejects with. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
  readonly code = 'ERR_TIMEOUT'
}

/**
 * The outcome of `operation`, if it comes within `ms` milliseconds and before `outer` is aborted. Its signal is aborted
 * otherwise; whether it listens or not, no caller waits for it any longer.
 */
export async function withTimeout<T> (
  operation: (signal: AbortSignal) => Promise<T>, ms: number, outer?: AbortSignal
): Promise<T> {
  outer?.throwIfAborted()
  const controller = new AbortController()
  const late = Promise.withResolvers<never>()
  const stop = (reason: unknown) => {
    late.reject(reason)
    controller.abort(reason)
  }
  const timer = setTimeout(() => stop(new TimeoutError('No answer in time')), ms)
  const onAbort = () => stop(outer?.reason)
  outer?.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([operation(controller.signal), late.promise])
  } finally {
    clearTimeout(timer)
    outer?.removeEventListener('abort', onAbort)
  }
}

function asRemoteError (cause: unknown): RemoteError {
  if (cause instanceof RemoteError) return cause
  if (cause instanceof TimeoutError) {
    return new RemoteError('transient', 'No answer in time', {
      providerCode: 'TIMEOUT', cause, advice: 'Check that the key service can be reached from here'
    })
  }
  const { code, name } = cause instanceof Error ? cause as NodeJS.ErrnoException : {}
  return new RemoteError('transient', 'Could not fetch the keys', {
    providerCode: safeCode(code) ?? safeCode(name) ?? 'UNKNOWN', cause, advice: 'If it lasts, report it with this code'
  })
}
