/**
 * Whether a verdict failed because of this machine's clock: evidence that has just been made looks old, or not yet
 * valid.
 */
import type { Verdict } from '../../attestation/checks.ts'
import { clockAdvice } from '../report.ts'
import type { Network } from './network.ts'

const NOTEWORTHY_MS = 30_000
const OF_TIME = new Set(['freshness', 'validity'])

export interface WatchedClock extends Pick<Network, 'fetch'> {
  /** What to do, if the clocks differ and a check of times failed; otherwise empty. Ends with a newline. */
  advice (verdict: Verdict): string
}

/** The network's fetch, which notes the Date of what answers first. */
export function watchClock ({ fetch }: Pick<Network, 'fetch'>): WatchedClock {
  let ahead: number | undefined
  return {
    async fetch (input, init) {
      const response = await fetch(input, init)
      const time = Date.parse(response.headers.get('date') ?? '')
      if (!Number.isNaN(time)) ahead ??= Date.now() - time
      return response
    },
    advice ({ checks }) {
      const failed = checks.some(({ name, outcome }) => outcome === 'failed' && OF_TIME.has(name))
      return failed && ahead !== undefined && Math.abs(ahead) > NOTEWORTHY_MS ? `polaris: ${clockAdvice(ahead)}\n` : ''
    }
  }
}
