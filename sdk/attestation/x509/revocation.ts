/** Certificate revocation lists (RFC 5280, section 5): complete ones, of one issuer, signed and in their time. */
import { AsnConvert } from '@peculiar/asn1-schema'
import { CertificateList } from '@peculiar/asn1-x509'
import { sameBytes, toHex } from '../bytes.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { realDate } from './certificate.ts'
import type { ParsedCertificate } from './certificate.ts'
import { readSignedObject } from './der.ts'
import { verifySignature } from './signature.ts'

export interface RevocationList {
  readonly tbs: Bytes
  readonly algorithm: Bytes
  readonly signature: Bytes
  /** DER of the name. */
  readonly issuer: Bytes
  readonly thisUpdate: Date
  readonly nextUpdate: Date
  /** Serial numbers, hexadecimal. */
  readonly revoked: ReadonlySet<string>
}

/** @throws whatever the parser throws if this is not one complete list, or one that never grows stale */
export function parseRevocationList (der: Uint8Array): RevocationList {
  const bytes = Uint8Array.from(der)
  const { tbs: signed, algorithm, signature } = readSignedObject(bytes)
  const { tbsCertList: tbs } = AsnConvert.parse(bytes, CertificateList)
  if (!sameBytes(algorithm, new Uint8Array(AsnConvert.serialize(tbs.signature)))) {
    throw new Error('A revocation list names two signature algorithms')
  }
  if (tbs.nextUpdate === undefined) throw new Error('A revocation list does not say when the next one is due')
  const entries = tbs.revokedCertificates ?? []
  // Critical are those that make a list partial or one of other issuers' certificates.
  const extensions = [tbs.crlExtensions ?? [], ...entries.map(entry => entry.crlEntryExtensions ?? [])].flat()
  if (extensions.some(({ critical }) => critical)) {
    throw new Error('A revocation list has an unknown critical extension')
  }
  return {
    tbs: signed,
    algorithm,
    signature,
    issuer: new Uint8Array(AsnConvert.serialize(tbs.issuer)),
    thisUpdate: realDate(tbs.thisUpdate.getTime()),
    nextUpdate: realDate(tbs.nextUpdate.getTime()),
    revoked: new Set(entries.map(({ userCertificate }) => toHex(new Uint8Array(userCertificate))))
  }
}

/**
 * What is wrong with a list: another issuer, its signature, its time.
 *
 * @returns undefined if it is to be believed at that time
 */
export async function faultOfList (
  list: RevocationList,
  issuer: ParsedCertificate,
  now: Date,
  toleranceSeconds = 0
): Promise<string | undefined> {
  if (!sameBytes(list.issuer, issuer.subject)) return 'is of another issuer'
  if (!issuer.signsRevocationLists || !(await verifySignature(list, issuer.spki))) return 'is not signed by its issuer'
  if (list.thisUpdate.getTime() > now.getTime() + toleranceSeconds * 1000) return 'is from the future'
  if (list.nextUpdate < now) return `is stale since ${list.nextUpdate.toISOString()}`
  return undefined
}
