/**
 * The certificates of an NVIDIA GPU: from the key that signed its evidence up to NVIDIA's root, all with keys on P-384
 * and signatures of ECDSA with SHA-384 (RFC 5480, RFC 5758).
 */
import { sameBytes, toHex } from '../bytes.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { isIssuedBy, parseCertificate } from '../x509/certificate.ts'
import type { ParsedCertificate } from '../x509/certificate.ts'
import { sha256 } from '../../../lib/protocols/attestation.ts'
import { decodeBase64 } from '../../../lib/protocols/base64.ts'
import { GpuEvidenceError } from './spdm.ts'

/** SHA-256 of `NVIDIA Device Identity CA`, DER, valid from November 2021. */
export const NVIDIA_ROOT = '102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48'

/** DER of the AlgorithmIdentifier ecdsa-with-SHA384. */
const ECDSA_SHA384 = '300a06082a8648ce3d040303'
const DICE_TCB_INFO = '2.23.133.5.4.1'
const P384 = { name: 'ECDSA', namedCurve: 'P-384' } as const
const SHA384 = { name: 'ECDSA', hash: 'SHA-384' } as const
export const MAX_CHAIN_CHARACTERS = 32 * 1024
/** Hopper has five. */
const MAX_CERTIFICATES = 8
const PEM = /-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----/y

export type GpuCertificate = ParsedCertificate

/**
 * Reads a chain in PEM, leaf first. Between the certificates and behind the last may be line ends and, as NVIDIA's
 * tools leave them, zero bytes; nothing else.
 *
 * @throws {GpuEvidenceError}
 */
export function parseGpuChain (pem: string): GpuCertificate[] {
  if (pem.length > MAX_CHAIN_CHARACTERS) throw new GpuEvidenceError('its certificates are too long')
  const chain: GpuCertificate[] = []
  let at = 0
  while (at < pem.length) {
    if ('\r\n\0'.includes(pem.charAt(at))) {
      at++
      continue
    }
    PEM.lastIndex = at
    const der = decodeBase64(PEM.exec(pem)?.[1] ?? '')
    if (!der || der.length === 0 || chain.length === MAX_CERTIFICATES) {
      throw new GpuEvidenceError('its certificates are no chain in PEM')
    }
    chain.push(parsed(der))
    at = PEM.lastIndex
  }
  if (chain.length < 2) throw new GpuEvidenceError('it has no chain of certificates')
  return chain
}

function parsed (der: Bytes): ParsedCertificate {
  try {
    return parseCertificate(der)
  } catch (cause) {
    throw new GpuEvidenceError('a certificate is malformed', { cause })
  }
}

/**
 * Whether each certificate was issued by the next, is valid at that time, and the last is the root.
 *
 * @param root SHA-256 of its DER, hexadecimal
 * @returns what is wrong, or undefined
 */
export async function chainFault (
  chain: readonly GpuCertificate[], now: Date, root: string
): Promise<string | undefined> {
  const last = chain.at(-1)
  if (!last || toHex(await sha256(last.der)) !== root) return 'its last certificate is not NVIDIA\'s root'
  for (const [i, certificate] of chain.entries()) {
    // The root has issued itself.
    const ecdsa = toHex(certificate.algorithm) === ECDSA_SHA384
    if (!ecdsa || !await isIssuedBy(certificate, chain[i + 1] ?? certificate)) {
      return `certificate ${i} was not issued by the next`
    }
    if (now < certificate.notBefore || now > certificate.notAfter) return `certificate ${i} is not valid at this time`
  }
  return undefined
}

/** Whether the certificate's key made the signature, r and s. A key that is not on P-384 made none. */
export async function isSignedBy ({ spki }: ParsedCertificate, signature: Bytes, signed: Bytes): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey('spki', spki, P384, false, ['verify'])
    return await crypto.subtle.verify(SHA384, key, signature, signed)
  } catch {
    return false
  }
}

/**
 * Whether the leaf was issued for this firmware: DiceTcbInfo, which ends with the digest
 * (TCG DICE Attestation Architecture, section 6.1.1).
 */
export function namesFirmware ({ extensions }: ParsedCertificate, firmwareId: Uint8Array): boolean {
  const value = extensions.get(DICE_TCB_INFO)
  return value !== undefined && firmwareId.length >= 32 && sameBytes(value.subarray(-firmwareId.length), firmwareId)
}

/**
 * The chip, e.g. 'GH100': the first word of the name of the key that is burnt into it. Undefined for what is no GPU.
 */
export function chipOf (chain: readonly GpuCertificate[]): string | undefined {
  return /^(G[A-Z]\d{3}) /.exec(chain[1]?.commonName ?? '')?.[1]
}
