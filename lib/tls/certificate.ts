/** A certificate that signs itself, as the wrapping that TLS asks for around a key: clients go by the key alone. */
import { createHash, createPublicKey, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier, AttributeTypeAndValue, AttributeValue, BasicConstraints, Certificate, ExtendedKeyUsage,
  Extension, Extensions, GeneralName, KeyUsage, KeyUsageFlags, Name, RelativeDistinguishedName,
  SubjectAlternativeName, SubjectKeyIdentifier, SubjectPublicKeyInfo, TBSCertificate, Validity, Version
} from '@peculiar/asn1-x509'

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2'
const COMMON_NAME = '2.5.4.3'
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
/** RFC 5280, section 4.2.1. */
const EXTENSIONS = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extKeyUsage: '2.5.29.37',
  /** RFC 8737, section 3. */
  acmeIdentifier: '1.3.6.1.5.5.7.1.31'
} as const
/** RFC 5280, section 4.1.2.2: positive, at most 20 bytes. */
const SERIAL_BYTES = 16

export interface CertificateOptions {
  /** On P-256. */
  readonly key: KeyObject
  /** DNS names and IP addresses; at least one. */
  readonly names: readonly string[]
  readonly notBefore: Date
  readonly notAfter: Date
  /** SHA-256 of the key authorization, in the answer to tls-alpn-01 (RFC 8737). */
  readonly acmeIdentifier?: Uint8Array
}

/** An X.509 certificate (RFC 5280) for a TLS server, PEM. */
export function selfSignedCertificate (options: CertificateOptions): string {
  const { key, names, notBefore, notAfter, acmeIdentifier } = options
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 })
  const serial = randomBytes(SERIAL_BYTES)
  serial[0] = serial[0]! & 0x3f | 0x40
  const name = nameOf('Polaris Secure Proxy')
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: Uint8Array.from(serial).buffer,
    signature: algorithm,
    issuer: name,
    validity: new Validity({ notBefore, notAfter }),
    subject: name,
    subjectPublicKeyInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    extensions: new Extensions([
      extension('basicConstraints', true, new BasicConstraints({ cA: false })),
      extension('keyUsage', true, new KeyUsage(KeyUsageFlags.digitalSignature)),
      extension('extKeyUsage', false, new ExtendedKeyUsage([SERVER_AUTH])),
      extension('subjectKeyIdentifier', false, new SubjectKeyIdentifier(createHash('sha256').update(spki).digest())),
      extension('subjectAltName', false, new SubjectAlternativeName(names.map(generalName))),
      ...acmeIdentifier === undefined ? [] : [extension('acmeIdentifier', true, new OctetString(acmeIdentifier))]
    ])
  })
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbs)), key)
  const certificate = AsnConvert.serialize(new Certificate({
    tbsCertificate: tbs, signatureAlgorithm: algorithm, signatureValue: Uint8Array.from(signature).buffer
  }))
  const lines = Buffer.from(certificate).toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function nameOf (commonName: string): Name {
  const value = new AttributeValue({ utf8String: commonName })
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })])])
}

function generalName (name: string): GeneralName {
  return isIP(name) === 0 ? new GeneralName({ dNSName: name }) : new GeneralName({ iPAddress: name })
}

function extension (name: keyof typeof EXTENSIONS, critical: boolean, value: object): Extension {
  return new Extension({ extnID: EXTENSIONS[name], critical, extnValue: new OctetString(AsnConvert.serialize(value)) })
}
