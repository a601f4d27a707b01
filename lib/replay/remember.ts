/** How long requests have to be remembered, so that none is forwarded twice (RFC 9458, section 6.5). */

export interface RememberOptions {
  /** How far the client's Date may be off, either way, in milliseconds. */
  readonly replayWindow: number
  /** Whether an OHTTP request has to have a Date. */
  readonly ohttpDate: 'required' | 'optional'
  /** EHBP requests never have a Date that anyone vouches for. */
  readonly enableEhbp: boolean
  /** Of the keys, in milliseconds. */
  readonly hpkeRotation: number
  readonly hpkeRetirement: number
}

/** A Date has whole seconds: half of one either way is rounding. In milliseconds. */
export const DATE_ROUNDING = 500
/**
 * A store may answer late, after the date was checked, and clocks of replicas that share it may differ. In
 * milliseconds.
 */
const MARGIN = 30_000

/**
 * In milliseconds. The Date of a request is acceptable from one window before it to one window after. One without a
 * Date is acceptable for as long as its key opens requests: from the epoch before the key's own.
 */
export function rememberFor (
  { replayWindow, ohttpDate, enableEhbp, hpkeRotation, hpkeRetirement }: RememberOptions
): number {
  const dated = 2 * (replayWindow + DATE_ROUNDING)
  return MARGIN + (ohttpDate === 'required' && !enableEhbp ? dated : Math.max(dated, 2 * hpkeRotation + hpkeRetirement))
}

/**
 * How far the clock of a replica may be from that of the store that it shares, in milliseconds. One replica admits a
 * request, and another one takes it for fresh, at times that are at most two windows and twice this apart: less than
 * twice `rememberFor`, which is how long a shared store remembers what is dated.
 */
export function clockToleranceFor ({ replayWindow }: Pick<RememberOptions, 'replayWindow'>): number {
  return replayWindow + MARGIN / 2
}
