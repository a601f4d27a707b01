/**
 * Issuers named by their certificates (did:x509, version 0): the root's fingerprint, and what the leaf is for.
 *
 *     did:x509:0:sha256:<base64url of SHA-256 of the root, DER>::eku:<object identifier>
 */
import { AsnConvert } from '@peculiar/asn1-schema'
import { ExtendedKeyUsage } from '@peculiar/asn1-x509'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { sha256 } from '../../../lib/protocols/attestation.ts'
import { DID_X509 } from '../snp/policy.ts'
import { isIssuedBy, isValidAt } from '../x509/certificate.ts'
import type { ParsedCertificate } from '../x509/certificate.ts'
import { verifyRsaSignature } from '../x509/signature.ts'

const EXTENDED_KEY_USAGE = '2.5.29.37'

/**
 * What keeps a chain from being that of an issuer.
 *
 * @param chain leaf first, root last
 * @param at when it was used: certificates may have ended since
 * @returns undefined if nothing does
 */
export async function didFault (
  did: string, chain: readonly ParsedCertificate[], at: Date
): Promise<string | undefined> {
  const [, fingerprint, usage] = DID_X509.exec(did) ?? []
  const [leaf] = chain
  const root = chain.at(-1)
  if (usage === undefined || leaf === undefined || root === undefined || chain.length < 2) {
    return 'there is no such issuer, or no chain'
  }
  if (encodeBase64url(await sha256(root.der)) !== fingerprint) return 'the chain ends in another root'
  const links = await Promise.all(
    chain.map((certificate, i) => isIssuedBy(certificate, chain[i + 1] ?? certificate, verifyRsaSignature))
  )
  if (links.includes(false)) return 'a certificate was not issued by the next'
  if (!chain.every(certificate => isValidAt(certificate, at))) return 'a certificate was not valid when it was used'
  if (!usages(leaf).includes(usage)) return 'the certificate is for another purpose'
  return undefined
}

function usages ({ extensions }: ParsedCertificate): readonly string[] {
  const value = extensions.get(EXTENDED_KEY_USAGE)
  try {
    return value === undefined ? [] : [...AsnConvert.parse(value, ExtendedKeyUsage)]
  } catch {
    return []
  }
}
