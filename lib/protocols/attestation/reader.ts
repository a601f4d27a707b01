/** Reads attestation documents, of this version and the one before. Strict in form; believes nothing. */
import { decodeBase64url, encodeBase64url } from '../base64url.ts'
import type { Bytes } from '../bytes.ts'
import { BINDING_BYTES, MAX_KEYS, MAX_NONCE_BYTES, MIN_NONCE_BYTES } from './binding.ts'
import {
  ATTESTATION_PROFILE, ATTESTATION_PROFILE_V1, AttestationDocumentError, MAX_DEVICE_CHARACTERS, MAX_DOCUMENT_BYTES,
  MAX_ITEMS, MAX_ITEM_CHARACTERS, MAX_KEY_BYTES, NAME
} from './types.ts'
import type { Claim, ParsedAttestation, TypedValue } from './types.ts'

const PROFILES = [ATTESTATION_PROFILE, ATTESTATION_PROFILE_V1] as const

/**
 * Reads a document. Members that this version does not know are passed over; those it knows must be well-formed.
 *
 * @param json the text, or its UTF-8 bytes
 * @throws {AttestationDocumentError}
 */
export function parseAttestationDocument (json: string | Uint8Array): ParsedAttestation {
  const document = asObject(parseJson(json), 'an object is expected')
  const version = oneOf(PROFILES, document['profile'], 'profile') === ATTESTATION_PROFILE ? 2 : 1
  const binding = asObject(document['binding'], 'binding')
  const parsed: ParsedAttestation = {
    version,
    tee: asName(document['tee'], 'tee'),
    nonce: asBytes(document['nonce'], 'nonce', MIN_NONCE_BYTES, MAX_NONCE_BYTES),
    cached: asBoolean(document['cached'], 'cached'),
    keys: asList(document['keys'], 'keys', MAX_KEYS).map(item => {
      const key = asObject(item, 'keys')
      return {
        kind: asName(key['kind'], 'keys.kind'),
        value: asBytes(key['value'], 'keys.value', 1, MAX_KEY_BYTES),
        sha256: asBytes(key['sha256'], 'keys.sha256', BINDING_BYTES, BINDING_BYTES)
      }
    }),
    claims: version === 1 ? [] : asClaims(document['claims']),
    binding: {
      preimage: asBytes(binding['preimage'], 'binding.preimage', 1, MAX_KEY_BYTES),
      sha256: asBytes(binding['sha256'], 'binding.sha256', BINDING_BYTES, BINDING_BYTES)
    },
    evidence: asTypedValues(document['evidence'], 'evidence'),
    devices: version === 1 ? [] : asTypedValues(document['devices'], 'devices', MAX_DEVICE_CHARACTERS),
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

function asName (value: unknown, member: string): string {
  if (typeof value !== 'string' || !NAME.test(value)) throw new AttestationDocumentError(member)
  return value
}

function asClaims (value: unknown): Claim[] {
  const claims = asTypedValues(value, 'claims')
  for (const [name] of claims) asName(name, 'claims.name')
  if (new Set(claims.map(([name]) => name)).size !== claims.length) {
    throw new AttestationDocumentError('claims: one occurs twice')
  }
  return claims
}

function asBytes (value: unknown, member: string, least: number, most: number): Bytes {
  if (typeof value !== 'string' || value.length > Math.ceil(most * 4 / 3)) throw new AttestationDocumentError(member)
  const bytes = decodeBase64url(value)
  if (!bytes || bytes.length < least || bytes.length > most) throw new AttestationDocumentError(member)
  return bytes
}

function asTypedValues (value: unknown, member: string, most = MAX_ITEM_CHARACTERS): TypedValue[] {
  return asList(value, member, MAX_ITEMS).map(pair => {
    const [mediaType, text, ...rest] = asList(pair, member, 2)
    if (typeof mediaType !== 'string' || typeof text !== 'string' || rest.length > 0) {
      throw new AttestationDocumentError(member)
    }
    if (mediaType.length > 128 || text.length > most) throw new AttestationDocumentError(member)
    return [mediaType, text]
  })
}

const RFC3339_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/

function asTime (value: unknown, member: string): Date {
  const time = new Date(typeof value === 'string' && RFC3339_UTC.test(value) ? value : NaN)
  if (Number.isNaN(time.getTime())) throw new AttestationDocumentError(member)
  return time
}
