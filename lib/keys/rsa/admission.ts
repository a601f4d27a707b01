/**
 * Turns requests away at the door, before they cost anything. A queue that refuses single operations would let the work
 * of half-refused requests crowd out whole ones: the fuller it is, the less it gets done.
 */
import { KeysBusyError } from '../provider.ts'

/** Runs a request's private-key work, or throws KeysBusyError at once. */
export type Admission = <T>(work: () => Promise<T>) => Promise<T>

/** @param limit requests that may be at work at the same time */
export function createAdmission (limit: number): Admission {
  let inside = 0
  return async function admit (work) {
    if (inside >= limit) throw new KeysBusyError()
    inside++
    try {
      return await work()
    } finally {
      inside--
    }
  }
}
