/**
 * The attestation document: what the proxy answers when a client asks it to prove its keys (RFC 9334, sections 7.1 and
 * 10.2: background check with a nonce), and the binding that ties those keys and the nonce to the evidence of the
 * platform. docs/attestation.md describes both, octet by octet.
 *
 *     binding pre-image = lp(label) || lp(nonce) || uint16be(number of keys) || (lp(kind) || lp(SHA-256(key)))*
 *     lp(x)             = uint16be(length of x) || x
 *     binding           = SHA-256(binding pre-image)
 *     report data       = binding || 32 zero octets
 *
 * SHA-256, because it is the one hash that every platform carries whole: 32 octets fit the 64 of a hardware report, 43
 * characters fit a nonce of Google's (10 to 74), and Azure's sidecar itself puts SHA-256(runtime data) || 32 zero
 * octets into the report, so that the pre-image can be its runtime data and the report data comes out the same
 * everywhere.
 */
import { decodeBase64url, encodeBase64url } from './base64url.ts'

type Octets = Uint8Array<ArrayBuffer>

export const ATTESTATION_PROFILE = 'polaris-attestation-v1'
export const BINDING_LABEL = 'polaris attestation binding v1'
export const BINDING_BYTES = 32
/** REPORT_DATA of an SEV-SNP report, REPORTDATA of a TDX quote. */
export const REPORT_DATA_BYTES = 64

export const MIN_NONCE_BYTES = 16
export const MAX_NONCE_BYTES = 64
export const MAX_KEYS = 16
export const MAX_KEY_BYTES = 8 * 1024
/** Of each list, evidence and endorsements. */
export const MAX_ITEMS = 16
export const MAX_ITEM_CHARACTERS = 128 * 1024
/** UTF-8, of the document as a whole. */
export const MAX_DOCUMENT_BYTES = 512 * 1024

/** Who produced the evidence. `none` is said plainly: keys without proof. */
export const TEE_KINDS = ['none', 'simulated', 'google-confidential-space', 'azure-maa', 'sev-snp', 'tdx'] as const
export type TeeKind = typeof TEE_KINDS[number]

/**
 * - `polaris-v1-spki`: SubjectPublicKeyInfo (DER) that Polaris v1 messages are encrypted to;
 * - `ohttp-keys`: the exact `application/ohttp-keys` octets;
 * - `tls-spki`: SubjectPublicKeyInfo (DER) of the certificate, where the proxy ends TLS itself.
 */
export const KEY_KINDS = ['polaris-v1-spki', 'ohttp-keys', 'tls-spki'] as const
export type KeyKind = typeof KEY_KINDS[number]

/** Other kinds belong to protocols that were added to a proxy: lower-case letters, digits and hyphens. */
export type AnyKeyKind = KeyKind | (string & {})
const KEY_KIND = /^[a-z][a-z0-9-]{0,63}$/

export interface AttestedKey {
  readonly kind: AnyKeyKind
  readonly value: Octets
}

/** A media type and a value: compact JWTs as they are, everything binary in base64url. */
export type TypedValue = readonly [mediaType: string, value: string]

/** Media types of evidence and endorsements. */
export const MEDIA_TYPES = {
  /** Google's token: an Entity Attestation Token (RFC 9711, RFC 9782). */
  eatJwt: 'application/eat+jwt',
  /** Microsoft Azure Attestation's token. */
  jwt: 'application/jwt',
  /** An SEV-SNP attestation report, 1184 octets. */
  snpReport: 'application/vnd.polaris.sev-snp-report',
  /** A TDX quote. */
  tdxQuote: 'application/vnd.polaris.tdx-quote',
  /** The development stand-in for evidence. */
  simulated: 'application/vnd.polaris.simulated-evidence+jwt',
  /** One X.509 certificate, DER (RFC 2585). */
  certificate: 'application/pkix-cert',
  /** A COSE_Sign1 object: Azure's endorsement of the utility VM. */
  cose: 'application/cose; cose-type="cose-sign1"'
} as const

/** The document as it travels: JSON. Octets are base64url without padding, times are RFC 3339 in UTC. */
export interface AttestationDocument {
  readonly profile: typeof ATTESTATION_PROFILE
  readonly tee: TeeKind
  /** 16 to 64 octets: the client's, or the proxy's own where the client sent none. */
  readonly nonce: string
  /** True where the nonce is the proxy's own, and the document may have been given to others before. */
  readonly cached: boolean
  /** Each with SHA-256(value). Of one kind, the one to encrypt to comes first. */
  readonly keys: ReadonlyArray<{ readonly kind: AnyKeyKind, readonly value: string, readonly sha256: string }>
  readonly binding: { readonly preimage: string, readonly sha256: string }
  readonly evidence: readonly TypedValue[]
  readonly endorsements: readonly TypedValue[]
  /** When the evidence was obtained, by the proxy's clock. */
  readonly issuedAt: string
  /** Until when it is good, where the evidence itself says so. */
  readonly expiresAt?: string
}

/** A document after parsing: every member checked for form, octets decoded. Nothing in it is verified yet. */
export interface ParsedAttestation {
  readonly tee: TeeKind
  readonly nonce: Octets
  readonly cached: boolean
  readonly keys: ReadonlyArray<AttestedKey & { readonly sha256: Octets }>
  readonly binding: { readonly preimage: Octets, readonly sha256: Octets }
  readonly evidence: readonly TypedValue[]
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

export async function sha256 (octets: Uint8Array): Promise<Octets> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', octets as Octets))
}

/**
 * The octets whose SHA-256 is bound into the evidence.
 *
 * @param keys in the order of the document, which is part of what is bound
 * @throws {RangeError} the nonce or the number of keys is out of bounds
 */
export async function bindingPreimage (nonce: Uint8Array, keys: readonly AttestedKey[]): Promise<Octets> {
  if (nonce.length < MIN_NONCE_BYTES || nonce.length > MAX_NONCE_BYTES) throw new RangeError('A nonce has 16 to 64 octets')
  if (keys.length > MAX_KEYS) throw new RangeError(`At most ${MAX_KEYS} keys are covered`)
  const text = new TextEncoder()
  const parts = [...prefixed(text.encode(BINDING_LABEL)), ...prefixed(nonce), uint16(keys.length)]
  for (const key of keys) parts.push(...prefixed(text.encode(key.kind)), ...prefixed(await sha256(key.value)))
  return concatenate(parts)
}

/** SHA-256 of the pre-image, 32 octets. */
export async function bindingDigest (nonce: Uint8Array, keys: readonly AttestedKey[]): Promise<Octets> {
  return sha256(await bindingPreimage(nonce, keys))
}

/** The 64 octets that go into a hardware report: the binding, then zeros. */
export function reportData (binding: Uint8Array): Octets {
  if (binding.length !== BINDING_BYTES) throw new RangeError('A binding has 32 octets')
  const data = new Uint8Array(REPORT_DATA_BYTES)
  data.set(binding)
  return data
}

/**
 * What Azure Attestation is given as runtime data, as JSON text; it comes back as claim `x-ms-runtime`. `nonce` is the
 * binding in base64url.
 */
export function maaRuntimeData (binding: Uint8Array): string {
  return JSON.stringify({ nonce: encodeBase64url(binding) })
}

/** What the proxy knows when it answers. */
export interface DocumentParts {
  readonly tee: TeeKind
  readonly nonce: Uint8Array
  readonly cached: boolean
  readonly keys: readonly AttestedKey[]
  readonly evidence: readonly TypedValue[]
  readonly endorsements: readonly TypedValue[]
  readonly issuedAt: Date
  readonly expiresAt?: Date | undefined
}

export async function attestationDocument (parts: DocumentParts): Promise<AttestationDocument> {
  const preimage = await bindingPreimage(parts.nonce, parts.keys)
  return {
    profile: ATTESTATION_PROFILE,
    tee: parts.tee,
    nonce: encodeBase64url(parts.nonce),
    cached: parts.cached,
    keys: await Promise.all(parts.keys.map(async ({ kind, value }) =>
      ({ kind, value: encodeBase64url(value), sha256: encodeBase64url(await sha256(value)) }))),
    binding: { preimage: encodeBase64url(preimage), sha256: encodeBase64url(await sha256(preimage)) },
    evidence: parts.evidence,
    endorsements: parts.endorsements,
    issuedAt: parts.issuedAt.toISOString(),
    ...parts.expiresAt && { expiresAt: parts.expiresAt.toISOString() }
  }
}

/**
 * Reads a document. Members that this version does not know are passed over; those it knows must be well-formed.
 *
 * @param json the text, or its UTF-8 octets
 * @throws {AttestationDocumentError}
 */
export function parseAttestationDocument (json: string | Uint8Array): ParsedAttestation {
  const document = asObject(parseJson(json), 'an object is expected')
  if (document['profile'] !== ATTESTATION_PROFILE) throw new AttestationDocumentError('profile')
  const binding = asObject(document['binding'], 'binding')
  const parsed: ParsedAttestation = {
    tee: oneOf(TEE_KINDS, document['tee'], 'tee'),
    nonce: asOctets(document['nonce'], 'nonce', MIN_NONCE_BYTES, MAX_NONCE_BYTES),
    cached: asBoolean(document['cached'], 'cached'),
    keys: asList(document['keys'], 'keys', MAX_KEYS).map(item => {
      const key = asObject(item, 'keys')
      return {
        kind: asKind(key['kind']),
        value: asOctets(key['value'], 'keys.value', 1, MAX_KEY_BYTES),
        sha256: asOctets(key['sha256'], 'keys.sha256', BINDING_BYTES, BINDING_BYTES)
      }
    }),
    binding: {
      preimage: asOctets(binding['preimage'], 'binding.preimage', 1, MAX_KEY_BYTES),
      sha256: asOctets(binding['sha256'], 'binding.sha256', BINDING_BYTES, BINDING_BYTES)
    },
    evidence: asTypedValues(document['evidence'], 'evidence'),
    endorsements: asTypedValues(document['endorsements'], 'endorsements'),
    issuedAt: asTime(document['issuedAt'], 'issuedAt'),
    expiresAt: document['expiresAt'] === undefined ? undefined : asTime(document['expiresAt'], 'expiresAt')
  }
  const identities = parsed.keys.map(key => `${key.kind} ${encodeBase64url(key.value)}`)
  if (new Set(identities).size !== identities.length) throw new AttestationDocumentError('keys: one occurs twice')
  return parsed
}

function parseJson (json: string | Uint8Array): unknown {
  if (json.length > MAX_DOCUMENT_BYTES) throw new AttestationDocumentError('too long')
  try {
    return JSON.parse(typeof json === 'string' ? json : new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch (cause) {
    throw new AttestationDocumentError('JSON is expected', { cause })
  }
}

/** Own members only, so that nothing is read from a prototype. */
function asObject (value: unknown, member: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new AttestationDocumentError(member)
  return Object.assign(Object.create(null) as Record<string, unknown>, value)
}

function asList (value: unknown, member: string, most: number): unknown[] {
  if (!Array.isArray(value) || value.length > most) throw new AttestationDocumentError(member)
  return value
}

function asBoolean (value: unknown, member: string): boolean {
  if (typeof value !== 'boolean') throw new AttestationDocumentError(member)
  return value
}

function oneOf<const T extends string> (known: readonly T[], value: unknown, member: string): T {
  const found = known.find(item => item === value)
  if (found === undefined) throw new AttestationDocumentError(member)
  return found
}

/** A kind that this version does not know is bound like any other, and used by nobody. */
function asKind (value: unknown): string {
  if (typeof value !== 'string' || !KEY_KIND.test(value)) throw new AttestationDocumentError('keys.kind')
  return value
}

function asOctets (value: unknown, member: string, least: number, most: number): Octets {
  if (typeof value !== 'string' || value.length > Math.ceil(most * 4 / 3)) throw new AttestationDocumentError(member)
  const octets = decodeBase64url(value)
  if (!octets || octets.length < least || octets.length > most) throw new AttestationDocumentError(member)
  return octets
}

function asTypedValues (value: unknown, member: string): TypedValue[] {
  return asList(value, member, MAX_ITEMS).map(pair => {
    const [mediaType, text, ...rest] = asList(pair, member, 2)
    if (typeof mediaType !== 'string' || typeof text !== 'string' || rest.length > 0) throw new AttestationDocumentError(member)
    if (mediaType.length > 128 || text.length > MAX_ITEM_CHARACTERS) throw new AttestationDocumentError(member)
    return [mediaType, text]
  })
}

const RFC3339_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/

function asTime (value: unknown, member: string): Date {
  const time = new Date(typeof value === 'string' && RFC3339_UTC.test(value) ? value : NaN)
  if (Number.isNaN(time.getTime())) throw new AttestationDocumentError(member)
  return time
}

/** Length-prefixed. Nothing that is bound comes near the 65535 octets of the prefix. */
function prefixed (octets: Uint8Array): [Uint8Array, Uint8Array] {
  return [uint16(octets.length), octets]
}

function uint16 (value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff)
}

function concatenate (parts: readonly Uint8Array[]): Octets {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}
