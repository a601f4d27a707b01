/** The time that requests are dated with. The proxy refuses those whose date is too far from its own. */

export interface Clock {
  readonly follows: boolean
  now (): Date
  /** Corrects what `now` returns by so many milliseconds. */
  correct (offset: number): void
}

/** @param follows the gateway's time, where that is proven */
export function createClock (follows: boolean): Clock {
  let correction = 0
  return {
    follows,
    now: () => new Date(Date.now() + correction),
    correct (offset) { correction = offset }
  }
}
