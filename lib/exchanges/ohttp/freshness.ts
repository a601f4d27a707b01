/** Which requests are fresh, by the Date inside (RFC 9458, section 6.5). */
import { Problem } from '../../http/problems.ts'
import type { HpkeRing } from '../../keys/hpke/ring.ts'
import type { RequestHead } from '../../protocols/bhttp/bhttp.ts'
import type { RequestHeader } from '../../protocols/ohttp/ohttp.ts'
import { DATE_ROUNDING, rememberFor } from '../../replay/remember.ts'
import type { RememberOptions } from '../../replay/remember.ts'

export interface FreshnessOptions extends RememberOptions {
  readonly now?: () => number
}

export interface Freshness {
  /** The Date, in milliseconds since 1970, if there is one. @throws {Problem} date, date-missing */
  check (head: RequestHead, key: RequestHeader): number | undefined
}

export function createFreshness (ring: Pick<HpkeRing, 'keys'>, options: FreshnessOptions): Freshness {
  const { replayWindow, ohttpDate, now = Date.now } = options
  const remembered = rememberFor(options)
  /** The last one that was read: requests of one second have the same. */
  let last = { date: '', time: NaN }

  function timeOf (date: string): number {
    // The one form that names no zone (RFC 9110, section 5.6.7) is of the same as the others, not of the machine's.
    if (last.date !== date) last = { date, time: Date.parse(date.endsWith('GMT') ? date : `${date} GMT`) }
    return last.time
  }

  /** A key that stays for longer than its requests are remembered protects none of them: it may have no successor. */
  function isGoneInTime ({ keyId, kemId }: RequestHeader): boolean {
    const key = ring.keys().find(key => key.keyId === keyId && key.kemId === kemId)
    return key === undefined || key.notAfter - now() <= remembered
  }

  return {
    check ({ headers }, key) {
      const date = headers.find(([name]) => name === 'date')?.[1]
      if (date === undefined) {
        if (ohttpDate === 'required' || !isGoneInTime(key)) throw new Problem('date-missing')
        return undefined
      }
      const time = timeOf(date)
      if (!(Math.abs(time - now()) <= replayWindow + DATE_ROUNDING)) throw new Problem('date')
      return time
    }
  }
}
