/** Appraises an attestation document against a policy (RFC 9334: the verifier and the relying party in one). */
import { bindingPreimage, bindingPreimageV1, parseAttestationDocument, sha256 } from '../../lib/protocols/attestation.ts'
import type { ParsedAttestation, TeeKind } from '../../lib/protocols/attestation.ts'
import { verifyAzureMaa } from './azure-maa.ts'
import { check, skipped } from './checks.ts'
import type { Check, Findings, Verdict } from './checks.ts'
import type { VerifierContext, VerifyOptions } from './context.ts'
import { verifyGoogle } from './google.ts'
import { parseAttestationPolicy } from './policy.ts'
import type { AttestationPolicy } from './policy.ts'
import { verifySevSnp } from './sev-snp.ts'
import { verifySimulated } from './simulated.ts'
import { verifyTdx } from './tdx.ts'
import { sameOctets } from './x509.ts'

/**
 * Checks everything it can, so that the verdict names each failure and not only the first one.
 *
 * @param document as received: JSON text, or its UTF-8 octets
 * @throws {AttestationDocumentError} it is not an attestation document
 * @throws {AttestationFetchError} an issuer's keys are needed and cannot be had now: there is no verdict
 * @throws {AttestationPolicyError} the policy is malformed, or pins nothing
 */
export async function verifyAttestation (document: string | Uint8Array, policy: AttestationPolicy, options: VerifyOptions = {}): Promise<Verdict> {
  const accepted = parseAttestationPolicy(policy)
  const parsed = parseAttestationDocument(document)
  const preimage = await (parsed.version === 1 ? bindingPreimageV1(parsed.nonce, parsed.keys) : bindingPreimage(parsed.nonce, parsed.keys, parsed))
  const context: VerifierContext = {
    document: parsed,
    binding: await sha256(preimage),
    now: options.now ?? new Date(),
    maximumAgeSeconds: accepted.maximumAgeSeconds ?? 300,
    clockToleranceSeconds: accepted.clockToleranceSeconds ?? 60,
    challenged: options.nonce !== undefined && sameOctets(options.nonce, parsed.nonce),
    fetch: options.fetch ?? fetch,
    options
  }
  const { checks: found, presented } = await platformFindings(context, accepted)
  const checks = [
    nonceCheck(context, accepted),
    await keysCheck(parsed),
    check('binding', sameOctets(parsed.binding.preimage, preimage) && sameOctets(parsed.binding.sha256, context.binding),
      'The binding in the document is the one of its nonce and keys'),
    ...found
  ]
  const verified = found.length > 0 && checks.every(({ outcome }) => outcome !== 'failed')
  return { verified, tee: parsed.tee as TeeKind, checks, keys: parsed.keys.map(({ kind, value }) => ({ kind, value })), presented }
}

function nonceCheck ({ challenged, document, options }: VerifierContext, policy: AttestationPolicy): Check {
  if (challenged) return check('nonce', true, 'The document answers this client\'s nonce')
  if (options.nonce) return check('nonce', false, 'The document answers another nonce than the one that was sent')
  if (policy.allowCached) return skipped('nonce', `No nonce was sent${document.cached ? '; the document says that it is from a cache' : ''}`)
  return check('nonce', false, 'No nonce was sent, and the policy does not allow cached evidence')
}

async function keysCheck ({ keys }: ParsedAttestation): Promise<Check> {
  const hashes = await Promise.all(keys.map(async ({ value, sha256: hash }) => sameOctets(await sha256(value), hash)))
  return check('keys', keys.length > 0 && !hashes.includes(false), `${keys.length} keys are covered: ${keys.map(({ kind }) => kind).join(', ')}`)
}

async function platformFindings (context: VerifierContext, { platforms }: AttestationPolicy): Promise<Findings> {
  const { tee } = context.document
  if (tee === 'none') return refused('The proxy says that it runs in no trusted execution environment')
  const google = platforms['google-confidential-space']
  const azure = platforms['azure-maa']
  const snp = platforms['sev-snp']
  const { tdx, simulated } = platforms
  if (tee === 'google-confidential-space' && google) return verifyGoogle(context, google)
  if (tee === 'azure-maa' && azure) return verifyAzureMaa(context, azure)
  if (tee === 'sev-snp' && snp) return verifySevSnp(context, snp)
  if (tee === 'tdx' && tdx) return verifyTdx(context, tdx)
  if (tee === 'simulated' && simulated) return verifySimulated(context, simulated)
  return refused(`The policy does not accept evidence of the kind ${tee}`)
}

function refused (detail: string): Findings {
  return { checks: [check('platform', false, detail)], presented: {} }
}
