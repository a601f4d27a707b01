/** Whether this process, which makes the load, kept up. */
import type { Test } from 'tap'

/** A busy machine may stop this process for a while. */
const HELD_UP_MS = 20_000

/**
 * Whether this process was held up lately: then connections that were kept alive may have been closed meanwhile, which
 * is no fault of the proxy's.
 */
export function watchThisProcess (t: Test): { isUp (): boolean } {
  let turnedAt = performance.now()
  let until = -Infinity
  const look = () => {
    const now = performance.now()
    if (now - turnedAt > HELD_UP_MS) until = now + 2 * HELD_UP_MS
    turnedAt = now
  }
  const timer = setInterval(look, 1000)
  t.teardown(() => clearInterval(timer))
  return {
    isUp () {
      look()
      return performance.now() < until
    }
  }
}
