/**
 * Appraises simulated evidence, for development: a JWT (ES256) signed by a root that the proxy made itself. It proves
 * that the plumbing works and nothing else; policies have to say `"development": true`.
 */
import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, importJWK } from 'jose'
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import { check, oneOfCheck, skipped } from '../checks.ts'
import type { Check, Findings } from '../checks.ts'
import type { Verifier, VerifierContext } from '../context.ts'
import { bindingCheck, claim, issueTime, readToken, timeChecks } from '../tokens/token.ts'
import { simulatedSection } from './policy.ts'
import type { SimulatedPolicy } from './policy.ts'

export const simulated: Verifier<SimulatedPolicy> = { ...simulatedSection, verify: verifySimulated }

async function verifySimulated (context: VerifierContext, policy: SimulatedPolicy): Promise<Findings> {
  const read = readToken(context, MEDIA_TYPES.simulated)
  if (!read) return { checks: [check('evidence', false, 'The evidence is not one simulated token')], presented: {} }
  const { token, claims } = read
  const { root, signature } = await rootOf(token)
  return {
    checks: [
      signature,
      root === undefined
        ? skipped('root', 'Not checked without a signature')
        : oneOfCheck('root', 'The development root', policy.roots, root),
      ...timeChecks(context, claims),
      bindingCheck(context, claim(claims, 'eat_nonce'), "The token's nonce")
    ],
    issuedAt: issueTime(claims),
    machine: { name: 'simulation' },
    presented: { simulated: { ...(root !== undefined && { roots: [root] }) } }
  }
}

/** The header carries the root's public key; which root counts is for the policy to say. */
async function rootOf (token: string): Promise<{ root: string | undefined; signature: Check }> {
  const name = 'signature'
  try {
    const { jwk } = decodeProtectedHeader(token)
    if (jwk?.kty !== 'EC' || jwk.crv !== 'P-256') throw new Error('no key of P-256')
    const { kty, crv, x = '', y = '' } = jwk
    const key = { kty, crv, x, y }
    await compactVerify(token, await importJWK(key, 'ES256'), { algorithms: ['ES256'] })
    return {
      root: await calculateJwkThumbprint(key),
      signature: check(name, true, 'Signed by the development root in its header: this proves nothing about hardware')
    }
  } catch {
    return { root: undefined, signature: check(name, false, 'Not signed by the key in its header') }
  }
}
