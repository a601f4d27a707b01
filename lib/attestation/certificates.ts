/** AMD certificates as they come, PEM or the kernel's table, as the endorsements they become. */
import { MEDIA_TYPES } from '../protocols/attestation.ts'
import type { TypedValue } from '../protocols/attestation.ts'
import { encodeBase64url } from '../protocols/base64url.ts'

/** A chain is three certificates; more than a few are a mistake. */
const MAX_CERTIFICATES = 8

export function certificatesOfPem (pem: string): TypedValue[] {
  return [...pem.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z\d+/=\s]+)-----END CERTIFICATE-----/g)]
    .slice(0, MAX_CERTIFICATES)
    .map(([, body = '']) => endorsement(Buffer.from(body, 'base64')))
}

/** What Azure's certificate cache answers with: JSON that holds PEM; the sidecar passes on either. */
export function certificatesOfCache (text: string): TypedValue[] {
  return certificatesOfPem(text.trimStart().startsWith('{') ? text.replaceAll('\\n', '\n') : text)
}

/** VCEK, VLEK, ASK or ASVK, ARK (AMD 56421, "Guest-Hypervisor Communication Block", SNP extended guest request). */
const GUIDS = new Set([
  '63da758de6644564adc5f4b93be8accd',
  'a8074bc2a25a483eaae639c045a0b8a1',
  '4ab7b379bbac4fe4a02f05aef327c782',
  'c0b406a4a803495297433fb6014cd0ae'
])
const ENTRY_BYTES = 24

/**
 * The table that the host gives with a report: entries of GUID, offset and length, a zero GUID last. The host writes
 * it, so that an entry that points outside is passed over.
 */
export function certificatesOfTable (table: Buffer): TypedValue[] {
  const found: TypedValue[] = []
  for (let at = 0; at + ENTRY_BYTES <= table.length && found.length < MAX_CERTIFICATES; at += ENTRY_BYTES) {
    const guid = table.subarray(at, at + 16)
    if (guid.every(octet => octet === 0)) break
    const offset = table.readUInt32LE(at + 16)
    const end = offset + table.readUInt32LE(at + 20)
    if (end > table.length || end === offset) continue
    if (GUIDS.has(guid.toString('hex')) || GUIDS.has(mixedEndian(guid))) {
      found.push(endorsement(table.subarray(offset, end)))
    }
  }
  return found
}

/** Some hosts write the first three fields little-endian, as the variant of GUIDs that Windows uses. */
function mixedEndian (guid: Buffer): string {
  const swapped = Buffer.from(guid)
  swapped.subarray(0, 4).swap32()
  swapped.subarray(4, 8).swap16()
  return swapped.toString('hex')
}

function endorsement (der: Buffer): TypedValue {
  return [MEDIA_TYPES.certificate, encodeBase64url(der)]
}
