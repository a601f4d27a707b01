/** What the proxy says of itself in its claims (docs/attestation-document.md), against the policy. */
import { CLAIM_NAMES, readWeakenings } from '../../lib/protocols/attestation.ts'
import type { Claim } from '../../lib/protocols/attestation.ts'
import { check, show, skipped } from './checks.ts'
import type { Check } from './checks.ts'

/**
 * The checks `weakenings` and, if there are claims that this version does not know, `claims`. A claim is as trustworthy
 * as the software: it counts because the evidence binds it, and proves what said it.
 */
export function claimChecks (claims: readonly Claim[], accepted: readonly string[] | undefined): Check[] {
  const known: readonly string[] = Object.values(CLAIM_NAMES)
  const unknown = claims.map(([name]) => name).filter(name => !known.includes(name))
  return [
    weakeningsCheck(claims, accepted),
    ...unknown.length === 0
      ? []
      : [skipped('claims', `Not looked at: claims that this version does not know, ${unknown.join(', ')}`)]
  ]
}

function weakeningsCheck (claims: readonly Claim[], accepted: readonly string[] | undefined): Check {
  const name = 'weakenings'
  const stated = readWeakenings(claims)
  if (stated === 'malformed') return check(name, false, 'The claim about weakened protections cannot be read')
  if (stated === undefined) {
    const detail = 'The document does not say which protections its settings weaken'
    return accepted ? check(name, false, `${detail}, and the policy demands it`) : skipped(name, detail)
  }
  if (stated.length === 0) return check(name, true, 'The settings weaken no protection')
  const listed = stated.join(', ')
  if (!accepted) return skipped(name, `The settings weaken protections: ${listed}; the policy accepts any`)
  const refused = stated.filter(code => !accepted.includes(code))
  return refused.length === 0
    ? check(name, true, `The settings weaken protections, as the policy accepts: ${listed}`)
    : check(name, false, `The settings weaken protections, which the policy does not accept: ${show(refused)}`)
}
