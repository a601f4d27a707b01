/** What the tokens of Microsoft Azure Attestation have in common, whatever they are about. */
import type { JWTPayload } from 'jose'
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import { check, show, skipped } from '../checks.ts'
import type { Check } from '../checks.ts'
import type { VerifierContext } from '../context.ts'
import { readToken, signatureCheck, timeChecks } from '../tokens/token.ts'

export interface AzureToken {
  readonly checks: readonly Check[]
  /** Of a token that its issuer signed; undefined of any other, and then nothing more is looked at. */
  readonly claims: JWTPayload | undefined
  /** Which of those that the policy pins. */
  readonly issuer: string
}

/** @throws {AttestationFetchError} the issuer cannot be asked for its keys */
export async function readAzureToken (context: VerifierContext, issuers: readonly string[]): Promise<AzureToken> {
  const read = readToken(context, MEDIA_TYPES.jwt)
  if (!read) return refused(check('evidence', false, 'The evidence is not one token of Azure Attestation'))
  const { token, claims } = read
  // The issuer claim only chooses among those that the policy pins; it never makes an address.
  const issuer = issuers.find(pinned => pinned === claims.iss)
  const issued = check(
    'issuer', issuer !== undefined, `The issuer is ${show(claims.iss)}, the policy expects ${show(issuers)}`
  )
  if (issuer === undefined) return refused(issued, skipped('signature', 'An unknown issuer is not asked for its keys'))
  const signature = await signatureCheck(context, token, issuer, async () => `${issuer}/certs`)
  if (signature.outcome === 'failed') return refused(signature, skipped('claims', 'Not checked without a signature'))
  return { checks: [signature, issued, ...timeChecks(context, claims)], claims, issuer }
}

function refused (...checks: readonly Check[]): AzureToken {
  return { checks, claims: undefined, issuer: '' }
}
