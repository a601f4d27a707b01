/**
 * The AEADs of HPKE, on this thread: sealing a chunk costs less than handing it to another. The key becomes a
 * KeyObject, as a cipher made with a Buffer costs 10 µs more.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import type { CipherChaCha20Poly1305Types } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { allocate, free, own } from '../streams/owned.ts'
import type { Owned } from '../streams/owned.ts'
import { AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, aeadSizes } from '../protocols/ohttp/suites.ts'

export interface Aead {
  /** Ciphertext and tag. Apart, since a caller that frames them would copy them anyway. */
  seal (nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): [ciphertext: Owned, tag: Owned]
  /** @throws the ciphertext was not sealed with this key, nonce and associated data */
  open (nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Owned
  /**
   * As `seal`, for a message of any length and without associated data: in steps, with time for others between them.
   */
  sealLong (nonce: Uint8Array, plaintext: Uint8Array): Promise<[ciphertext: Owned, tag: Owned]>
  /**
   * As `open`, for a message of any length and without associated data: in steps, with time for others between them. It
   * resolves when the tag was checked.
   */
  openLong (nonce: Uint8Array, ciphertext: Uint8Array): Promise<Owned>
}

// Node's types tell modes apart, which differ in nothing that matters here: all are called as the last one is.
const CIPHERS: ReadonlyMap<number, string> = new Map([
  [AEAD_AES_128_GCM, 'aes-128-gcm'],
  [AEAD_AES_256_GCM, 'aes-256-gcm'],
  [AEAD_CHACHA20_POLY1305, 'chacha20-poly1305']
])

/** So much is done without a break: some 0.5 ms of AES, or 1 ms of ChaCha20. */
const STEP_BYTES = 1024 * 1024

async function inSteps (cipher: { update (bytes: Uint8Array): Uint8Array }, input: Uint8Array): Promise<Owned> {
  if (input.length <= STEP_BYTES) return own(cipher.update(input))
  const output = allocate(input.length)
  for (let at = 0; at < input.length; at += STEP_BYTES) {
    const step = own(cipher.update(input.subarray(at, at + STEP_BYTES)))
    output.set(step, at)
    free(step)
    await setImmediate()
  }
  return output
}

/** @throws {RangeError} the AEAD is not one of ours, or the key does not fit it */
export function createAead (aeadId: number, key: Uint8Array): Aead {
  const sizes = aeadSizes(aeadId)
  const name = CIPHERS.get(aeadId)
  if (sizes === undefined || name === undefined || key.length !== sizes.Nk) {
    throw new RangeError('Unknown AEAD or wrong key')
  }
  const cipherName = name as CipherChaCha20Poly1305Types
  const { Nt } = sizes
  const options = { authTagLength: Nt }
  const secretKey = createSecretKey(key)
  return {
    seal (nonce, plaintext, aad) {
      const cipher = createCipheriv(cipherName, secretKey, nonce, options)
      if (aad.length > 0) cipher.setAAD(aad, { plaintextLength: plaintext.length })
      const sealed = cipher.update(plaintext)
      cipher.final()
      return [own(sealed), own(cipher.getAuthTag())]
    },
    open (nonce, ciphertext, aad) {
      const tagAt = ciphertext.length - Nt
      if (tagAt < 0) throw new RangeError('The ciphertext is shorter than its tag')
      const decipher = createDecipheriv(cipherName, secretKey, nonce, options)
      if (aad.length > 0) decipher.setAAD(aad, { plaintextLength: tagAt })
      decipher.setAuthTag(ciphertext.subarray(tagAt))
      const plaintext = decipher.update(ciphertext.subarray(0, tagAt))
      decipher.final()
      return own(plaintext)
    },
    async sealLong (nonce, plaintext) {
      const cipher = createCipheriv(cipherName, secretKey, nonce, options)
      const ciphertext = await inSteps(cipher, plaintext)
      cipher.final()
      return [ciphertext, own(cipher.getAuthTag())]
    },
    async openLong (nonce, ciphertext) {
      const tagAt = ciphertext.length - Nt
      if (tagAt < 0) throw new RangeError('The ciphertext is shorter than its tag')
      const decipher = createDecipheriv(cipherName, secretKey, nonce, options).setAuthTag(ciphertext.subarray(tagAt))
      const plaintext = await inSteps(decipher, ciphertext.subarray(0, tagAt))
      decipher.final()
      return plaintext
    }
  }
}
