/** The request for a certificate (PKCS #10, RFC 2986): names, and a proof that the key is there. */
import { createPublicKey, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import { Extension, Extensions, GeneralName, SubjectAlternativeName } from '@peculiar/asn1-x509'
import type { Identifier } from './identifiers.ts'

const SUBJECT_ALT_NAME = '2.5.29.17'
/** extensionRequest, 1.2.840.113549.1.9.14; ecdsa-with-SHA256, 1.2.840.10045.4.3.2. */
const EXTENSION_REQUEST = Buffer.from('06092a864886f70d01090e', 'hex')
const ECDSA_WITH_SHA256 = Buffer.from('300a06082a8648ce3d040302', 'hex')
const SEQUENCE = 0x30
const SET = 0x31
const INTEGER = 0x02
const BIT_STRING = 0x03
const ATTRIBUTES = 0xa0

/** DER. The subject is empty: names are where clients look for them. */
export function certificateRequest (key: KeyObject, identifiers: readonly Identifier[]): Buffer {
  const names = new SubjectAlternativeName(identifiers.map(({ type, value }) =>
    type === 'dns' ? new GeneralName({ dNSName: value }) : new GeneralName({ iPAddress: value })))
  const extensions = AsnConvert.serialize(new Extensions([
    new Extension({ extnID: SUBJECT_ALT_NAME, extnValue: new OctetString(AsnConvert.serialize(names)) })
  ]))
  const info = der(
    SEQUENCE,
    der(INTEGER, Buffer.of(0)),
    der(SEQUENCE),
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    der(ATTRIBUTES, der(SEQUENCE, EXTENSION_REQUEST, der(SET, Buffer.from(extensions))))
  )
  return der(SEQUENCE, info, ECDSA_WITH_SHA256, der(BIT_STRING, Buffer.of(0), sign('sha256', info, key)))
}

/** One element (X.690, section 8.1), of up to 65535 bytes. */
function der (tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), content])
}
