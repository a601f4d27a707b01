/**
 * The AEADs of HPKE, synchronous: sealing a chunk costs less than handing it to another thread. The key becomes a
 * KeyObject, as a cipher made with a Buffer costs 10 µs more.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import type { CipherChaCha20Poly1305Types } from 'node:crypto'
import { AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, aeadSizes } from '../protocols/ohttp/suites.ts'

export interface Aead {
  /** Ciphertext and tag, which whoever frames them joins: one copy less. */
  seal (nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): [Uint8Array, Uint8Array]
  /** @throws the ciphertext was not sealed with this key, nonce and associated data */
  open (nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array
  /** As seal, without associated data, for a message too large to be done at once. */
  startSeal (nonce: Uint8Array): PieceSealer
  /** As open, likewise. */
  startOpen (nonce: Uint8Array): PieceOpener
}

export interface PieceSealer {
  update (plaintext: Uint8Array): Uint8Array
  /** The tag. */
  end (): Uint8Array
}

export interface PieceOpener {
  /**
   * Plaintext that nothing vouches for yet: to be held, and not looked at until `end` has returned. The ciphertext is
   * kept until the next call, and must not change before.
   */
  update (ciphertext: Uint8Array): Uint8Array
  /** The rest of the plaintext. @throws as open */
  end (): Uint8Array
}

// Node's types tell modes apart, which differ in nothing that matters here: all are called as the last one is.
const CIPHERS: ReadonlyMap<number, string> = new Map([
  [AEAD_AES_128_GCM, 'aes-128-gcm'],
  [AEAD_AES_256_GCM, 'aes-256-gcm'],
  [AEAD_CHACHA20_POLY1305, 'chacha20-poly1305']
])

/** @throws {RangeError} the AEAD is not one of ours, or the key does not fit it */
export function createAead (aeadId: number, key: Uint8Array): Aead {
  const sizes = aeadSizes(aeadId)
  const name = CIPHERS.get(aeadId)
  if (sizes === undefined || name === undefined || key.length !== sizes.Nk) throw new RangeError('Unknown AEAD or wrong key')
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
      return [sealed, cipher.getAuthTag()]
    },
    open (nonce, ciphertext, aad) {
      const tagAt = ciphertext.length - Nt
      if (tagAt < 0) throw new RangeError('The ciphertext is shorter than its tag')
      const decipher = createDecipheriv(cipherName, secretKey, nonce, options)
      if (aad.length > 0) decipher.setAAD(aad, { plaintextLength: tagAt })
      decipher.setAuthTag(ciphertext.subarray(tagAt))
      const plaintext = decipher.update(ciphertext.subarray(0, tagAt))
      decipher.final()
      return plaintext
    },
    startSeal (nonce) {
      const cipher = createCipheriv(cipherName, secretKey, nonce, options)
      return {
        update: (plaintext) => cipher.update(plaintext),
        end () {
          cipher.final()
          return cipher.getAuthTag()
        }
      }
    },
    startOpen (nonce) {
      const decipher = createDecipheriv(cipherName, secretKey, nonce, options)
      // What came last, as long as a tag at least, where there is as much: its end may turn out to be the tag.
      let last: Uint8Array = new Uint8Array()
      return {
        update (ciphertext) {
          let due = last
          last = ciphertext
          if (ciphertext.length < Nt) {
            const joined = Buffer.concat([due, ciphertext])
            const tagAt = Math.max(0, joined.length - Nt)
            due = joined.subarray(0, tagAt)
            last = joined.subarray(tagAt)
          }
          return decipher.update(due)
        },
        end () {
          const tagAt = last.length - Nt
          if (tagAt < 0) throw new RangeError('The ciphertext is shorter than its tag')
          const plaintext = decipher.update(last.subarray(0, tagAt))
          decipher.setAuthTag(last.subarray(tagAt))
          decipher.final()
          return plaintext
        }
      }
    }
  }
}
