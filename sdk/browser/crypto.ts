/**
 * What the `@sigstore` packages use of Node's `crypto`, for browsers: they verify at once, where Web Crypto makes them
 * wait. Public data only: nothing here takes the same time for all values.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'
import { AsnConvert } from '@peculiar/asn1-schema'
import { SubjectPublicKeyInfo } from '@peculiar/asn1-x509'
import { Buffer } from 'buffer'

const HASHES = { sha256, sha384, sha512 }
const ED25519 = '1.3.101.112'
const EC = '1.2.840.10045.2.1'
/** By the DER of the object identifier that names the curve. */
const CURVES: Readonly<Record<string, typeof p256>> = {
  '06082a8648ce3d030107': p256,
  '06052b81040022': p384,
  '06052b81040023': p521
}

/** A key that can verify. Kinds of keys that are not used with Sigstore verify nothing. */
export interface PublicKey {
  verify (algorithm: string | undefined, data: Uint8Array, signature: Uint8Array): boolean
}

interface DerKey {
  readonly key: Uint8Array
  readonly format: 'der'
  readonly type: string
}

/** @param input PEM, or a SubjectPublicKeyInfo */
export function createPublicKey (input: string | DerKey): PublicKey {
  if (typeof input !== 'string' && input.type !== 'spki') return unusable
  const der = typeof input === 'string' ? Buffer.from(input.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64') : input.key
  const {
    algorithm: { algorithm, parameters }, subjectPublicKey
  } = AsnConvert.parse(Uint8Array.from(der), SubjectPublicKeyInfo)
  const raw = new Uint8Array(subjectPublicKey)
  if (algorithm === ED25519) {
    return { verify: (_, data, signature) => ed25519.verify(plain(signature), plain(data), raw, { zip215: false }) }
  }
  const curve = algorithm === EC && parameters ? CURVES[Buffer.from(parameters).toString('hex')] : undefined
  if (curve === undefined) return unusable
  return {
    // Without an algorithm, OpenSSL takes SHA-256 on every curve.
    verify: (algorithm = 'sha256', data, signature) =>
      curve.verify(
        plain(signature), hashOf(algorithm)(plain(data)), raw, { prehash: false, lowS: false, format: 'der' }
      )
  }
}

const unusable: PublicKey = { verify: () => false }

export function createHash (algorithm: string): { update (data: string | Uint8Array): void, digest (): Buffer } {
  const hash = hashOf(algorithm).create()
  return {
    update (data) { hash.update(typeof data === 'string' ? new TextEncoder().encode(data) : plain(data)) },
    digest: () => Buffer.from(hash.digest())
  }
}

export function verify (
  algorithm: string | undefined, data: Uint8Array, key: PublicKey, signature: Uint8Array
): boolean {
  return key.verify(algorithm, data, signature)
}

export function timingSafeEqual (one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) throw new RangeError('Both must have the same length')
  return one.every((byte, i) => byte === other[i])
}

function hashOf (algorithm: string): typeof sha256 | typeof sha384 | typeof sha512 {
  const name = algorithm.toLowerCase().replace('-', '')
  if (!Object.hasOwn(HASHES, name)) throw new Error(`No hash ${algorithm}`)
  return HASHES[name as keyof typeof HASHES]
}

/** Not a Buffer: what takes bytes tells them apart by their class. */
function plain (bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes)
}
