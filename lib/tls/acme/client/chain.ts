/** The certificate that an authority issued, and those above it: taken if they are what was ordered. */
import { X509Certificate, createPublicKey } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import { RemoteError } from '../../../remote/error.ts'
import type { Identifier } from './identifiers.ts'

export interface Issued {
  /** PEM. */
  readonly cert: string
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
}

const PEM = /-----BEGIN CERTIFICATE-----\r?\n[A-Za-z\d+/=\r\n]{1,16000}-----END CERTIFICATE-----/g
const MAX_CERTIFICATES = 10

/**
 * @param key private, PEM
 * @throws {RemoteError}
 */
export function issuedCertificate (body: Uint8Array, key: string, identifiers: readonly Identifier[]): Issued {
  try {
    // What is between certificates is for people (RFC 8555, section 9.1).
    const found = Buffer.from(body).toString('latin1').match(PEM) ?? []
    if (found.length === 0 || found.length > MAX_CERTIFICATES) {
      throw new TypeError('it has no certificates, or too many')
    }
    const cert = found.map(pem => `${pem}\n`).join('')
    const [leaf] = found.map(pem => new X509Certificate(pem))
    if (leaf === undefined || !leaf.publicKey.equals(createPublicKey(key))) throw new TypeError('it is for another key')
    if (!identifiers.every(identifier => covers(leaf, identifier))) throw new TypeError('it lacks a name')
    createSecureContext({ cert, key })
    const [notBefore, notAfter] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()]
    if (!(notAfter > Date.now() && notAfter > notBefore)) throw new TypeError('it has expired')
    return { cert, notBefore, notAfter }
  } catch (cause) {
    // OpenSSL says what it makes of the bytes of others: only what is ours is told.
    const why = cause instanceof TypeError && !('code' in cause) ? cause.message : 'it cannot be read'
    throw new RemoteError('refused', `The certificate authority issued a certificate that cannot be used: ${why}`, {
      cause, providerCode: 'CERTIFICATE', advice: 'Check the clock of this machine, and ask who runs the authority'
    })
  }
}

function covers (leaf: X509Certificate, { value }: Identifier): boolean {
  return (isIP(value) === 0 ? leaf.checkHost(value) : leaf.checkIP(value)) !== undefined
}
