/** Which requests are fresh, by the Date inside, and how long they have to be remembered (RFC 9458, section 6.5). */
import { Problem } from '../../http/problems.ts'
import type { HpkeRing } from '../../keys/hpke/ring.ts'
import type { RequestHead } from '../../protocols/bhttp/bhttp.ts'
import type { RequestHeader } from '../../protocols/ohttp/ohttp.ts'

export interface FreshnessOptions extends KeyLife {
  /** How far the client's Date may be off, either way, in milliseconds. */
  readonly replayWindow: number
  /** Whether a request has to have a Date. */
  readonly ohttpDate: 'required' | 'optional'
  readonly now?: () => number
}

/** In milliseconds. */
interface KeyLife {
  readonly hpkeRotation: number
  readonly hpkeRetirement: number
}

/** A Date has whole seconds: half of one either way is rounding. In milliseconds. */
const DATE_ROUNDING = 500
/** A store may answer late, after the date was checked, and clocks of replicas that share it may differ. In milliseconds. */
const MARGIN = 30_000

/**
 * How long a request has to be remembered, in milliseconds. Its Date is acceptable from one window before it to one window
 * after. One without a Date is acceptable for as long as its key opens requests: from the epoch before the key's own.
 */
export function rememberFor ({ replayWindow, ohttpDate, hpkeRotation, hpkeRetirement }: Omit<FreshnessOptions, 'now'>): number {
  const dated = 2 * (replayWindow + DATE_ROUNDING)
  return MARGIN + (ohttpDate === 'required' ? dated : Math.max(dated, 2 * hpkeRotation + hpkeRetirement))
}

export interface Freshness {
  /** The Date, in milliseconds since 1970, if there is one. @throws {Problem} date, date-missing */
  check (head: RequestHead, key: RequestHeader): number | undefined
}

export function createFreshness (ring: Pick<HpkeRing, 'keys'>, options: FreshnessOptions): Freshness {
  const { replayWindow, ohttpDate, now = Date.now } = options
  const remembered = rememberFor(options)

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
      // The one form that names no zone (RFC 9110, section 5.6.7) is of the same as the others, not of the machine's.
      const time = Date.parse(date.endsWith('GMT') ? date : `${date} GMT`)
      if (!(Math.abs(time - now()) <= replayWindow + DATE_ROUNDING)) throw new Problem('date')
      return time
    }
  }
}
