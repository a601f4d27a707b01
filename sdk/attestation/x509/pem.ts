/** Certificates in PEM (RFC 7468, section 3: its strict form), in the one grammar that everything here reads. */
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { parseCertificate } from './certificate.ts'
import type { ParsedCertificate } from './certificate.ts'

const BEGIN = '-----BEGIN CERTIFICATE-----\n'
const END = '-----END CERTIFICATE-----\n'
const MOST = 8

/**
 * The certificates of a text that holds nothing else: lines of 64 characters but for the last, each ended by one line
 * feed. Whatever two readers could understand differently is refused.
 *
 * @throws the text has another form, or what is in it is not a certificate
 */
export function certificatesOfPem (text: string): ParsedCertificate[] {
  const certificates: ParsedCertificate[] = []
  const whole = text.endsWith('\n') ? text : `${text}\n`
  for (let at = 0; at < whole.length;) {
    const end = whole.indexOf(END, at)
    if (!whole.startsWith(BEGIN, at) || end < 0 || certificates.length === MOST) {
      throw new RangeError('Not a list of certificates in PEM')
    }
    certificates.push(parseCertificate(decodeLines(whole.slice(at + BEGIN.length, end))))
    at = end + END.length
  }
  return certificates
}

function decodeLines (body: string): Bytes {
  const lines = body.split('\n')
  const last = lines.length - 2
  const wellFormed =
    lines.pop() === '' &&
    last >= 0 &&
    lines.every(
      (line, i) =>
        /^[A-Za-z\d+/]*={0,2}$/.test(line) &&
        (i < last ? line.length === 64 && !line.includes('=') : line !== '' && line.length <= 64)
    )
  if (!wellFormed) throw new RangeError('Not a certificate in PEM')
  const base64 = lines.join('')
  const binary = atob(base64)
  // Bits that do not count could hold anything.
  if (btoa(binary) !== base64) throw new RangeError('Not a certificate in PEM')
  return Uint8Array.from(binary, character => character.charCodeAt(0))
}
