/** A key version whose private key is in this process: unwraps with the pool, and derives secrets. */
import { constants, createPublicKey, publicEncrypt, randomBytes, timingSafeEqual, webcrypto } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { RemoteError } from '../../remote/error.ts'
import type { KeyVersion, KnownVersions } from './key-versions.ts'
import { createRsaPool } from './pool.ts'
import type { RsaPool, RsaPoolOptions } from './pool.ts'
import { publishedKey } from './public-key.ts'

/** HKDF salt. Keeps what is derived here apart from whatever else the same private key may be used for. */
const SALT = new TextEncoder().encode('polaris-secure-proxy derived secrets v1')

/**
 * Makes a key version of an RSA private key; that of `known`, where it holds the key already.
 *
 * `deriveSecret(info, length)` is HKDF-SHA-256 (RFC 5869) with
 * - IKM: the DER encoding of the key's RSAPrivateKey (RFC 8017, appendix A.1.2),
 * - salt: the ASCII characters `polaris-secure-proxy derived secrets v1`,
 * - info: UTF-8 of `info`, L: `length`, at most 8160.
 *
 * Both the RSA key and the IKM are kept as non-extractable CryptoKeys only; the encodings are overwritten.
 *
 * @throws {RemoteError} of kind `configuration`: no RSA key of 2048 to 8192 bits, or its parts do not fit together
 */
export async function memoryKey (
  privateKey: KeyObject, known: KnownVersions, options: RsaPoolOptions
): Promise<KeyVersion> {
  if (privateKey.asymmetricKeyType !== 'rsa') throw unusable('not an RSA key')
  const publicKey = createPublicKey(privateKey)
  const published = publishedKey(publicKey.export({ format: 'der', type: 'spki' }))
  const existing = known(published.keyId)
  if (existing !== undefined) return existing

  let pool: RsaPool
  try {
    pool = await createRsaPool(privateKey.export({ format: 'der', type: 'pkcs8' }), options)
  } catch (cause) {
    throw unusable('not an RSA key of 2048 to 8192 bits', cause)
  }
  if (!await fits(publicKey, pool)) throw unusable('its parts do not fit together')
  const ikm = await importIkm(privateKey)

  return {
    published,
    unwrap: wrapped => pool.unwrap(wrapped),
    async deriveSecret (info, length) {
      const params = { name: 'HKDF', hash: 'SHA-256', salt: SALT, info: new TextEncoder().encode(info) }
      return new Uint8Array(await webcrypto.subtle.deriveBits(params, ikm, length * 8))
    },
    close: () => pool.close()
  }
}

async function importIkm (privateKey: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = privateKey.export({ format: 'der', type: 'pkcs1' })
  try {
    return await webcrypto.subtle.importKey('raw', der, 'HKDF', false, ['deriveBits'])
  } finally {
    der.fill(0)
  }
}

/** Whether what is encrypted to the public key can be opened: the parts of a JWK are independent claims. */
async function fits (publicKey: KeyObject, pool: RsaPool): Promise<boolean> {
  const sample = randomBytes(32)
  const wrapped = publicEncrypt(
    { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, sample
  )
  try {
    const opened = await pool.unwrap(wrapped)
    return opened.length === sample.length && timingSafeEqual(opened, sample)
  } catch {
    return false
  }
}

function unusable (why: string, cause?: unknown): RemoteError {
  return new RemoteError('configuration', `The private key cannot be used: ${why}`, {
    providerCode: 'KEY_UNUSABLE', cause, advice: 'Provide a complete RSA key, preferably of 4096 bits'
  })
}
