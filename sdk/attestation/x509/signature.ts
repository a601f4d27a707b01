/** Signatures of certificates and revocation lists: the algorithms that vendors of hardware use, and no others. */
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { toHex } from '../bytes.ts'
import { ecdsaSignature } from './der.ts'
import type { SignedObject } from './der.ts'

interface Ecdsa {
  readonly curve: 'P-256' | 'P-384'
  readonly hash: 'SHA-256' | 'SHA-384'
  readonly size: number
}

/** By the DER of the AlgorithmIdentifier, whole: parameters are part of the algorithm. */
const ECDSA: Readonly<Record<string, Ecdsa>> = {
  '300a06082a8648ce3d040302': { curve: 'P-256', hash: 'SHA-256', size: 32 },
  '300a06082a8648ce3d040303': { curve: 'P-384', hash: 'SHA-384', size: 48 }
}
/** RSASSA-PSS with SHA-384, MGF1 with SHA-384, salt of 48 bytes, as AMD signs; the trailer field may be said or not. */
const SHA384 = '300d06096086480165030402020500'
const PSS_SHA384 = new RegExp('^304[16]06092a864886f70d01010a303[49]' +
  `a00f${SHA384}a11c301a06092a864886f70d010108${SHA384}a203020130(?:a303020101)?$`)

/** @returns false as well for algorithms that are not known, and for keys that are not of the algorithm */
export async function verifySignature ({ algorithm, signature, tbs }: SignedObject, spki: Bytes): Promise<boolean> {
  const identifier = toHex(algorithm)
  const ecdsa = Object.hasOwn(ECDSA, identifier) ? ECDSA[identifier] : undefined
  try {
    if (ecdsa) {
      const raw = ecdsaSignature(signature, ecdsa.size)
      return raw !== undefined && (await verifyEcdsa(spki, ecdsa, raw, tbs))
    }
    if (!PSS_SHA384.test(identifier)) return false
    const key = await crypto.subtle.importKey('spki', spki, { name: 'RSA-PSS', hash: 'SHA-384' }, false, ['verify'])
    return await crypto.subtle.verify({ name: 'RSA-PSS', saltLength: 48 }, key, signature, tbs)
  } catch {
    // A key that WebCrypto cannot import signs nothing.
    return false
  }
}

async function verifyEcdsa (spki: Bytes, { curve, hash }: Ecdsa, signature: Bytes, data: Bytes): Promise<boolean> {
  const key = await crypto.subtle.importKey('spki', spki, { name: 'ECDSA', namedCurve: curve }, false, ['verify'])
  return crypto.subtle.verify({ name: 'ECDSA', hash }, key, signature, data)
}

/** RSASSA-PKCS1-v1_5, as public certificate authorities sign; by the DER of the AlgorithmIdentifier. */
const RSA_PKCS1: Readonly<Record<string, 'SHA-256' | 'SHA-384' | 'SHA-512'>> = {
  '300d06092a864886f70d01010b0500': 'SHA-256',
  '300d06092a864886f70d01010c0500': 'SHA-384',
  '300d06092a864886f70d01010d0500': 'SHA-512'
}
const MIN_RSA_BITS = 2048

/** As `verifySignature`, of certificates of public authorities: RSA with keys of 2048 bits or more. */
export async function verifyRsaSignature ({ algorithm, signature, tbs }: SignedObject, spki: Bytes): Promise<boolean> {
  const identifier = toHex(algorithm)
  const hash = Object.hasOwn(RSA_PKCS1, identifier) ? RSA_PKCS1[identifier] : undefined
  if (!hash) return false
  try {
    const key = await crypto.subtle.importKey('spki', spki, { name: 'RSASSA-PKCS1-v1_5', hash }, false, ['verify'])
    if (!('modulusLength' in key.algorithm) || Number(key.algorithm.modulusLength) < MIN_RSA_BITS) return false
    return await crypto.subtle.verify('RSASSA-PKCS1-v1_5', key, signature, tbs)
  } catch {
    // A key that WebCrypto cannot import signs nothing.
    return false
  }
}
