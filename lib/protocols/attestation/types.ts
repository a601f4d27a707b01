/** The attestation document: its members, its limits, and the error of what is none. */
import type { Bytes } from '../bytes.ts'

export const ATTESTATION_PROFILE = 'polaris-attestation-v2'
/** Without claims and devices: still read, no longer written. */
export const ATTESTATION_PROFILE_V1 = 'polaris-attestation-v1'

export const MAX_KEY_BYTES = 8 * 1024
/** Of each list, evidence, endorsements, devices and claims. */
export const MAX_ITEMS = 16
export const MAX_ITEM_CHARACTERS = 128 * 1024
/** Eight GPUs take 100 KB, so that racks of them fit. */
export const MAX_DEVICE_CHARACTERS = 1024 * 1024
/** UTF-8, of the document as a whole. */
export const MAX_DOCUMENT_BYTES = 2 * 1024 * 1024

/** Who produced the evidence. `none` is said plainly: keys without proof. */
export const TEE_KINDS = [
  'none', 'simulated', 'google-confidential-space', 'azure-maa', 'azure-cvm', 'sev-snp', 'tdx'
] as const
export type TeeKind = typeof TEE_KINDS[number]
/** Kinds that this version does not know are read, and accepted by no policy. */
export type AnyTeeKind = TeeKind | (string & {})

/**
 * - `polaris-v1-spki`: SubjectPublicKeyInfo (DER) that Polaris v1 messages are encrypted to;
 * - `ohttp-keys`: the exact `application/ohttp-keys` bytes;
 * - `tls-spki`: SubjectPublicKeyInfo (DER) of the certificate, where the proxy ends TLS itself.
 */
export const KEY_KINDS = ['polaris-v1-spki', 'ohttp-keys', 'tls-spki'] as const
export type KeyKind = typeof KEY_KINDS[number]

/** Other kinds belong to protocols that were added to a proxy: lower-case letters, digits and hyphens. */
export type AnyKeyKind = KeyKind | (string & {})
/** Kinds of platforms and keys, and names of claims. */
export const NAME = /^[a-z][a-z0-9-]{0,63}$/

export interface AttestedKey {
  readonly kind: AnyKeyKind
  readonly value: Bytes
}

/** A media type and a value: compact JWTs and JSON as they are, everything binary in base64url. */
export type TypedValue = readonly [mediaType: string, value: string]

/**
 * A name and a value, which the proxy says of itself. Bound into the evidence, it is as trustworthy as the software
 * that the evidence proves.
 *
 * - `weakenings`: JSON, a list of codes: the protections that the settings take back (lib/config/weaknesses.ts).
 */
export type Claim = readonly [name: string, value: string]

/** Media types of evidence and endorsements. */
export const MEDIA_TYPES = {
  /** Google's token: an Entity Attestation Token (RFC 9711, RFC 9782). */
  eatJwt: 'application/eat+jwt',
  /** Microsoft Azure Attestation's token. */
  jwt: 'application/jwt',
  /** An SEV-SNP attestation report, 1184 bytes. */
  snpReport: 'application/vnd.polaris.sev-snp-report',
  /** A TDX quote. */
  tdxQuote: 'application/vnd.polaris.tdx-quote',
  /** The development stand-in for evidence. */
  simulated: 'application/vnd.polaris.simulated-evidence+jwt',
  /** One X.509 certificate, DER (RFC 2585). */
  certificate: 'application/pkix-cert',
  /** One X.509 certificate revocation list, DER (RFC 2585). */
  revocationList: 'application/pkix-crl',
  /** A COSE_Sign1 object: Azure's endorsement of the utility VM. */
  cose: 'application/cose; cose-type="cose-sign1"',
  /** Evidence of NVIDIA GPUs, as NVIDIA's Remote Attestation Service takes it. */
  nvidiaEvidence: 'application/vnd.polaris.nvidia-gpu-evidence+json',
  /** That service's answer to it. */
  nvidiaAnswer: 'application/vnd.polaris.nvidia-gpu-result+json',
  /** A Sigstore bundle about what runs. It authenticates itself. */
  sigstoreBundle: 'application/vnd.dev.sigstore.bundle.v0.3+json'
} as const

/** The document as it travels: JSON. Bytes are base64url without padding, times are RFC 3339 in UTC. */
export interface AttestationDocument {
  readonly profile: typeof ATTESTATION_PROFILE | typeof ATTESTATION_PROFILE_V1
  readonly tee: AnyTeeKind
  /** 16 to 64 bytes: the client's, or the proxy's own where the client sent none. */
  readonly nonce: string
  /** True where the nonce is the proxy's own, and the document may have been given to others before. */
  readonly cached: boolean
  /** Each with SHA-256(value). Of one kind, the one to encrypt to comes first. */
  readonly keys: ReadonlyArray<{ readonly kind: AnyKeyKind, readonly value: string, readonly sha256: string }>
  readonly claims?: readonly Claim[]
  readonly binding: { readonly preimage: string, readonly sha256: string }
  readonly evidence: readonly TypedValue[]
  /** Evidence of devices, such as GPUs, which answers `deviceNonce`. */
  readonly devices?: readonly TypedValue[]
  readonly endorsements: readonly TypedValue[]
  /** When the evidence was obtained, by the proxy's clock. */
  readonly issuedAt: string
  /** Until when it is good, where the evidence itself says so. */
  readonly expiresAt?: string
}

/** A document after parsing: every member checked for form, bytes decoded. Nothing in it is verified yet. */
export interface ParsedAttestation {
  readonly version: 1 | 2
  readonly tee: AnyTeeKind
  readonly nonce: Bytes
  readonly cached: boolean
  readonly keys: ReadonlyArray<AttestedKey & { readonly sha256: Bytes }>
  readonly claims: readonly Claim[]
  readonly binding: { readonly preimage: Bytes, readonly sha256: Bytes }
  readonly evidence: readonly TypedValue[]
  readonly devices: readonly TypedValue[]
  readonly endorsements: readonly TypedValue[]
  readonly issuedAt: Date
  readonly expiresAt: Date | undefined
}

/** The text is not an attestation document. The message names the member at fault and repeats nothing of its value. */
export class AttestationDocumentError extends Error {
  override readonly name = 'AttestationDocumentError'
  readonly code = 'ERR_ATTESTATION_DOCUMENT'

  constructor (member: string, options?: ErrorOptions) {
    super(`Not an attestation document: ${member}`, options)
  }
}
