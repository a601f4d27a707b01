/**
 * As much of X.509 (RFC 5280) as AMD's certificate chains need, with WebCrypto alone. Parsing is left to
 * @peculiar/asn1-x509.
 */
import { AsnConvert } from '@peculiar/asn1-schema'
import { BasicConstraints, Certificate, KeyUsage, KeyUsageFlags } from '@peculiar/asn1-x509'

type Octets = Uint8Array<ArrayBuffer>

const RSASSA_PSS = '1.2.840.113549.1.1.10'
const COMMON_NAME = '2.5.4.3'
const BASIC_CONSTRAINTS = '2.5.29.19'
const KEY_USAGE = '2.5.29.15'

export interface ParsedCertificate {
  /** DER of the signed part. */
  readonly tbs: Octets
  readonly signatureAlgorithm: string
  readonly signature: Octets
  /** The integer's bytes, as in DER. */
  readonly serialNumber: Octets
  /** DER of the names. */
  readonly subject: Octets
  readonly issuer: Octets
  readonly commonName: string | undefined
  readonly notBefore: Date
  readonly notAfter: Date
  /** DER of SubjectPublicKeyInfo. */
  readonly spki: Octets
  /** Values of the extensions by object identifier. */
  readonly extensions: ReadonlyMap<string, Octets>
  /** May sign certificates: basicConstraints and, where present, keyUsage say so. */
  readonly authority: boolean
}

/** @throws whatever the parser throws where this is not one certificate */
export function parseCertificate (der: Uint8Array): ParsedCertificate {
  const certificate = AsnConvert.parse(der, Certificate)
  const { tbsCertificate: tbs } = certificate
  if (!certificate.tbsCertificateRaw) throw new Error('Not a certificate')
  const extensions = new Map((tbs.extensions ?? []).map(({ extnID, extnValue }) => [extnID, new Uint8Array(extnValue.buffer)]))
  if (extensions.size !== (tbs.extensions ?? []).length) throw new Error('An extension occurs twice')
  return {
    tbs: new Uint8Array(certificate.tbsCertificateRaw),
    signatureAlgorithm: certificate.signatureAlgorithm.algorithm,
    signature: new Uint8Array(certificate.signatureValue),
    serialNumber: new Uint8Array(tbs.serialNumber),
    subject: new Uint8Array(AsnConvert.serialize(tbs.subject)),
    issuer: new Uint8Array(AsnConvert.serialize(tbs.issuer)),
    commonName: tbs.subject.flat().find(({ type }) => type === COMMON_NAME)?.value.toString(),
    notBefore: tbs.validity.notBefore.getTime(),
    notAfter: tbs.validity.notAfter.getTime(),
    spki: new Uint8Array(AsnConvert.serialize(tbs.subjectPublicKeyInfo)),
    extensions,
    authority: mayIssue(extensions)
  }
}

function mayIssue (extensions: ReadonlyMap<string, Octets>): boolean {
  const constraints = extensions.get(BASIC_CONSTRAINTS)
  const usage = extensions.get(KEY_USAGE)
  if (!constraints || !AsnConvert.parse(constraints, BasicConstraints).cA) return false
  return !usage || (AsnConvert.parse(usage, KeyUsage).toNumber() & KeyUsageFlags.keyCertSign) !== 0
}

/** Whether `issuer` issued `subject`: names, authority and signature (RSASSA-PSS with SHA-384, as AMD signs). */
export async function isIssuedBy (subject: ParsedCertificate, issuer: ParsedCertificate): Promise<boolean> {
  if (!issuer.authority || !sameOctets(subject.issuer, issuer.subject)) return false
  if (subject.signatureAlgorithm !== RSASSA_PSS) return false
  const key = await crypto.subtle.importKey('spki', issuer.spki, { name: 'RSA-PSS', hash: 'SHA-384' }, false, ['verify'])
  return crypto.subtle.verify({ name: 'RSA-PSS', saltLength: 48 }, key, subject.signature, subject.tbs)
}

export function isValidAt (certificate: ParsedCertificate, time: Date): boolean {
  return certificate.notBefore <= time && time <= certificate.notAfter
}

/** For public values only: it stops at the first difference. */
export function sameOctets (one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, i) => octet === other[i])
}

export function toHex (octets: Uint8Array): string {
  return Array.from(octets, octet => octet.toString(16).padStart(2, '0')).join('')
}
