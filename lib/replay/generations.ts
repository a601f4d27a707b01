/**
 * What is remembered for a span of time, in two generations: each takes what comes during one span and is dropped when
 * the next one after it begins. So everything stays for at least one span, and at most two.
 */

export interface Generations<T> {
  /** Both of them, after dropping what is due. */
  now (): { readonly current: T, readonly previous: T }
}

/** A clock that cannot be set: how long something was remembered must not depend on what time it is. */
export const monotonic = (): number => performance.now()

/**
 * @param span in milliseconds
 * @param begin makes an empty generation
 * @param drop called with each generation that is forgotten
 */
export function createGenerations<T> (
  span: number, clock: () => number, begin: () => T, drop: (generation: T) => void
): Generations<T> {
  let generations = { current: begin(), previous: begin() }
  let turnAt = clock() + span
  return {
    now () {
      const time = clock()
      if (time < turnAt) return generations
      const late = time >= turnAt + span
      drop(generations.previous)
      if (late) drop(generations.current)
      generations = { current: begin(), previous: late ? begin() : generations.current }
      turnAt = (late ? time : turnAt) + span
      return generations
    }
  }
}
