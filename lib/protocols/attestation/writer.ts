/** Writes attestation documents. */
import { encodeBase64url } from '../base64url.ts'
import { bindingPreimage, sha256 } from './binding.ts'
import { ATTESTATION_PROFILE } from './types.ts'
import type { AnyTeeKind, AttestationDocument, AttestedKey, Claim, TypedValue } from './types.ts'

/** What the proxy knows when it answers. */
export interface DocumentParts {
  readonly tee: AnyTeeKind
  readonly nonce: Uint8Array
  readonly cached: boolean
  readonly keys: readonly AttestedKey[]
  readonly claims?: readonly Claim[]
  readonly evidence: readonly TypedValue[]
  readonly devices?: readonly TypedValue[]
  readonly endorsements: readonly TypedValue[]
  readonly issuedAt: Date
  readonly expiresAt?: Date | undefined
}

export async function attestationDocument (parts: DocumentParts): Promise<AttestationDocument> {
  const { claims = [], devices = [] } = parts
  const preimage = await bindingPreimage(parts.nonce, parts.keys, { claims, devices })
  return {
    profile: ATTESTATION_PROFILE,
    tee: parts.tee,
    nonce: encodeBase64url(parts.nonce),
    cached: parts.cached,
    keys: await Promise.all(parts.keys.map(async ({ kind, value }) =>
      ({ kind, value: encodeBase64url(value), sha256: encodeBase64url(await sha256(value)) }))),
    claims,
    binding: { preimage: encodeBase64url(preimage), sha256: encodeBase64url(await sha256(preimage)) },
    evidence: parts.evidence,
    devices,
    endorsements: parts.endorsements,
    issuedAt: parts.issuedAt.toISOString(),
    ...parts.expiresAt && { expiresAt: parts.expiresAt.toISOString() }
  }
}
