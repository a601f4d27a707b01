/**
 * Key pairs of the KEMs, made of Node's own primitives. The private key stays inside its closure: what others get is a
 * function that decapsulates.
 */
import { createPrivateKey, createPublicKey, decapsulate, diffieHellman, generateKeyPairSync, hash } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { EMPTY, uint16 } from '../protocols/bytes.ts'
import { KEM_MLKEM768_X25519, KEM_X25519, kemSizes } from '../protocols/ohttp/suites.ts'
import { createLabeled } from './labeled.ts'
import type { Bytes } from '../protocols/bytes.ts'

export interface KemKeyPair {
  readonly kemId: number
  readonly publicKey: Bytes
  /**
   * The shared secret, 32 octets, that enc was made for. Synchronous: 40 µs (X25519) or 100 µs (hybrid) is less than a
   * trip through the thread pool is worth.
   *
   * @throws {DecapsulationError}
   */
  decapsulate (enc: Uint8Array): Uint8Array
}

/** The encapsulated key is not one. Says no more, and its cause is not to be shown. */
export class DecapsulationError extends Error {
  override readonly name = 'DecapsulationError'
  readonly code = 'ERR_HPKE_DECAPSULATE'

  constructor (options?: ErrorOptions) {
    super('The encapsulated key cannot be used', options)
  }
}

/** Octets of a private key, of either KEM (Nsk). */
const Nsk = 32

/**
 * A fresh key pair, whose private key never was outside OpenSSL. For the hybrid, two independent ones take the place of
 * those that a seed would be expanded to.
 *
 * @throws {RangeError} the KEM is not one of ours
 */
export function generateKemKeyPair (kemId: number): KemKeyPair {
  const curve = generateKeyPairSync('x25519').privateKey
  if (kemId === KEM_X25519) return x25519(curve)
  if (kemId === KEM_MLKEM768_X25519) return hybrid(generateKeyPairSync('ml-kem-768').privateKey, curve)
  throw new RangeError('Unknown KEM')
}

/**
 * The key pair that belongs to ikm, 32 to 256 octets of secret: replicas that share it have the same key (RFC 9180,
 * section 7.1.3; for the hybrid, draft-ietf-hpke-pq-05, section 4).
 *
 * @throws {RangeError} the length of ikm, or the KEM, is not right
 */
export function deriveKemKeyPair (kemId: number, ikm: Uint8Array): KemKeyPair {
  if (ikm.length < Nsk || ikm.length > 256) {
    throw new RangeError('The input keying material does not have 32 to 256 bytes')
  }
  const suiteId = Buffer.concat([Buffer.from('KEM'), uint16(kemId)])
  if (kemId === KEM_X25519) {
    const labeled = createLabeled(suiteId)
    const prk = labeled.extract(EMPTY, Buffer.from('dkp_prk'), ikm)
    return importKemKeyPair(kemId, labeled.expand(prk, Buffer.from('sk'), EMPTY, Nsk))
  }
  const label = Buffer.from('DeriveKeyPair')
  const input = Buffer.concat([ikm, Buffer.from('HPKE-v1'), suiteId, uint16(label.length), label, uint16(Nsk)])
  return importKemKeyPair(kemId, shake256(input, Nsk))
}

/** From a serialised private key, 32 octets. @throws {RangeError} its length, or the KEM, is not right */
export function importKemKeyPair (kemId: number, privateKey: Uint8Array): KemKeyPair {
  if (privateKey.length !== Nsk) throw new RangeError('The private key does not have 32 bytes')
  if (kemId === KEM_X25519) return x25519(x25519PrivateKey(privateKey))
  if (kemId !== KEM_MLKEM768_X25519) throw new RangeError('Unknown KEM')
  const expanded = shake256(privateKey, 96)
  return hybrid(
    createPrivateKey({ key: expanded.subarray(0, 64), format: 'raw-seed', asymmetricKeyType: 'ml-kem-768' }),
    x25519PrivateKey(expanded.subarray(64))
  )
}

function x25519 (privateKey: KeyObject): KemKeyPair {
  const publicKey = rawPublicKey(privateKey)
  return {
    kemId: KEM_X25519,
    publicKey,
    // For X25519 keys this is all of DHKEM(X25519, HKDF-SHA256), with the check for an all-zero secret (section 7.1.4).
    decapsulate: enc => guarded(KEM_X25519, enc, () => decapsulate(privateKey, enc))
  }
}

/** draft-irtf-cfrg-concrete-hybrid-kems, MLKEM768-X25519: `\.//^\` */
const HYBRID_LABEL = Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c)
/** Octets of the ML-KEM-768 part of an encapsulated key. */
const Nct = 1088

function hybrid (lattice: KeyObject, curve: KeyObject): KemKeyPair {
  const curvePublicKey = rawPublicKey(curve)
  return {
    kemId: KEM_MLKEM768_X25519,
    publicKey: Uint8Array.from(Buffer.concat([rawPublicKey(lattice), curvePublicKey])),
    decapsulate: enc => guarded(KEM_MLKEM768_X25519, enc, () => {
      const ephemeral = enc.subarray(Nct)
      const publicKey = createPublicKey(
        { key: Buffer.from(ephemeral), format: 'raw-public', asymmetricKeyType: 'x25519' }
      )
      return hash('sha3-256', Buffer.concat([
        decapsulate(lattice, enc.subarray(0, Nct)),
        diffieHellman({ privateKey: curve, publicKey }),
        ephemeral, curvePublicKey, HYBRID_LABEL
      ]), 'buffer')
    })
  }
}

function guarded (kemId: number, enc: Uint8Array, run: () => Uint8Array): Uint8Array {
  if (enc.length !== kemSizes(kemId)?.Nenc) throw new DecapsulationError()
  try {
    return run()
  } catch (cause) {
    throw new DecapsulationError({ cause })
  }
}

function x25519PrivateKey (raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(raw), format: 'raw-private', asymmetricKeyType: 'x25519' })
}

function rawPublicKey (privateKey: KeyObject): Bytes {
  return Uint8Array.from(createPublicKey(privateKey).export({ format: 'raw-public' }))
}

function shake256 (input: Uint8Array, outputLength: number): Buffer {
  return hash('shake256', input, { outputEncoding: 'buffer', outputLength })
}
