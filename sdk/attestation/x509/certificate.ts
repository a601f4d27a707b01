/**
 * As much of X.509 (RFC 5280) as vendors' certificate chains need, with WebCrypto alone: fixed, short chains to a root
 * that is known beforehand. Parsing is left to @peculiar/asn1-x509.
 */
import { AsnConvert } from '@peculiar/asn1-schema'
import { BasicConstraints, Certificate, KeyUsage, KeyUsageFlags } from '@peculiar/asn1-x509'
import { sameBytes, toHex } from '../bytes.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { readSignedObject } from './der.ts'
import { verifySignature } from './signature.ts'

const COMMON_NAME = '2.5.4.3'
const BASIC_CONSTRAINTS = '2.5.29.19'
const KEY_USAGE = '2.5.29.15'

export interface ParsedCertificate {
  /** All of it. */
  readonly der: Bytes
  /** DER of the signed part. */
  readonly tbs: Bytes
  /** DER of the AlgorithmIdentifier, the same inside and outside of what is signed. */
  readonly algorithm: Bytes
  readonly signature: Bytes
  /** Hexadecimal. */
  readonly serialNumber: string
  /** DER of the names. */
  readonly subject: Bytes
  readonly issuer: Bytes
  readonly commonName: string | undefined
  readonly notBefore: Date
  readonly notAfter: Date
  /** DER of SubjectPublicKeyInfo. */
  readonly spki: Bytes
  /** Values of the extensions by object identifier. */
  readonly extensions: ReadonlyMap<string, Bytes>
  /** May sign certificates: basicConstraints and, where present, keyUsage say so. */
  readonly authority: boolean
  /** May sign revocation lists. */
  readonly signsRevocationLists: boolean
}

/** @throws whatever the parser throws if this is not one certificate in DER */
export function parseCertificate (der: Uint8Array): ParsedCertificate {
  const bytes = Uint8Array.from(der)
  const { tbs: signed, algorithm, signature } = readSignedObject(bytes)
  const { tbsCertificate: tbs } = AsnConvert.parse(bytes, Certificate)
  const algorithmInside = new Uint8Array(AsnConvert.serialize(tbs.signature))
  if (!sameBytes(algorithm, algorithmInside)) throw new Error('A certificate names two signature algorithms')
  const extensions = new Map(
    (tbs.extensions ?? []).map(({ extnID, extnValue }) => [extnID, new Uint8Array(extnValue.buffer)])
  )
  if (extensions.size !== (tbs.extensions ?? []).length) throw new Error('An extension occurs twice')
  return {
    der: bytes,
    tbs: signed,
    algorithm,
    signature,
    serialNumber: toHex(new Uint8Array(tbs.serialNumber)),
    subject: new Uint8Array(AsnConvert.serialize(tbs.subject)),
    issuer: new Uint8Array(AsnConvert.serialize(tbs.issuer)),
    commonName: tbs.subject
      .flat()
      .find(({ type }) => type === COMMON_NAME)
      ?.value.toString(),
    notBefore: realDate(tbs.validity.notBefore.getTime()),
    notAfter: realDate(tbs.validity.notAfter.getTime()),
    spki: new Uint8Array(AsnConvert.serialize(tbs.subjectPublicKeyInfo)),
    extensions,
    authority: isAuthority(extensions) && mayUse(extensions, KeyUsageFlags.keyCertSign),
    signsRevocationLists: mayUse(extensions, KeyUsageFlags.cRLSign)
  }
}

/** A time that is none would compare as neither past nor future. @throws {RangeError} */
export function realDate (date: Date): Date {
  if (Number.isNaN(date.getTime())) throw new RangeError('Not a time')
  return date
}

function isAuthority (extensions: ReadonlyMap<string, Bytes>): boolean {
  const constraints = extensions.get(BASIC_CONSTRAINTS)
  return constraints !== undefined && AsnConvert.parse(constraints, BasicConstraints).cA
}

function mayUse (extensions: ReadonlyMap<string, Bytes>, flag: number): boolean {
  const usage = extensions.get(KEY_USAGE)
  return usage === undefined || (AsnConvert.parse(usage, KeyUsage).toNumber() & flag) !== 0
}

/** Whether `issuer` issued `subject`: names, authority and signature. */
export async function isIssuedBy (
  subject: ParsedCertificate, issuer: ParsedCertificate, verify = verifySignature
): Promise<boolean> {
  if (!issuer.authority || !sameBytes(subject.issuer, issuer.subject)) return false
  return verify(subject, issuer.spki)
}

/** Whether each is issued by the next, and the last one by itself. */
export async function isChain (certificates: readonly ParsedCertificate[]): Promise<boolean> {
  if (certificates.length === 0) return false
  const links = certificates.map((certificate, i) => isIssuedBy(certificate, certificates[i + 1] ?? certificate))
  return (await Promise.all(links)).every(issued => issued)
}

export function isValidAt (certificate: ParsedCertificate, time: Date): boolean {
  return certificate.notBefore <= time && time <= certificate.notAfter
}

/** For people: the last day of each. */
export function lastDays (certificates: readonly ParsedCertificate[]): string {
  return certificates.map(({ notAfter }) => notAfter.toISOString().slice(0, 10)).join(', ')
}
