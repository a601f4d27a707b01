/** The claims that this version knows: what the proxy says of itself, bound into the evidence. */
import { NAME } from './types.ts'
import type { Claim } from './types.ts'

export const CLAIM_NAMES = {
  /** JSON, a list of codes: the protections that the settings take back. */
  weakenings: 'weakenings'
} as const

const MAX_WEAKENINGS = 64

/** @param codes names such as `plaintext-accepted`; their order does not matter */
export function weakeningsClaim (codes: readonly string[]): Claim {
  return [CLAIM_NAMES.weakenings, JSON.stringify([...new Set(codes)].sort())]
}

/** @returns undefined if there is no such claim, `malformed` if it is not a list of distinct codes */
export function readWeakenings (claims: readonly Claim[]): readonly string[] | 'malformed' | undefined {
  const claim = claims.find(([name]) => name === CLAIM_NAMES.weakenings)
  if (claim === undefined) return undefined
  let codes: unknown
  try {
    codes = JSON.parse(claim[1])
  } catch {
    return 'malformed'
  }
  return isListOfCodes(codes) ? codes : 'malformed'
}

function isListOfCodes (value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= MAX_WEAKENINGS && new Set(value).size === value.length &&
    value.every(code => typeof code === 'string' && NAME.test(code))
}
