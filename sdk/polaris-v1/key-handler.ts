/** Where the client's own RSA key lives: responses are sealed to it. */
import { toBuffer } from './octets.ts'
import { exportPublicKey, RSA_OAEP } from './rsa.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'

export interface KeyHandler {
  /** @returns SubjectPublicKeyInfo, PEM */
  getPublicKey (): Promise<string>

  /**
   * RSA-OAEP decryption (SHA-256, MGF1-SHA-256, no label) with the private key.
   *
   * @param wrappedKey as long as the modulus; a Buffer where the platform has it
   */
  unwrapKey (wrappedKey: Uint8Array): Promise<Uint8Array>
}

/**
 * An RSA-4096 key that is made at first use, stays in this process, and cannot be exported from it. Making it takes up
 * to a second or two, off the main thread: call `getPublicKey()` early to have it ready.
 */
export class EphemeralKeyHandler implements KeyHandler {
  #pair: ReturnType<typeof generate> | undefined

  async getPublicKey (): Promise<string> {
    return exportPublicKey((await this.#keys()).publicKey)
  }

  async unwrapKey (wrappedKey: Uint8Array): Promise<Bytes> {
    const { privateKey } = await this.#keys()
    return toBuffer(new Uint8Array(await crypto.subtle.decrypt('RSA-OAEP', privateKey, new Uint8Array(wrappedKey))))
  }

  #keys (): ReturnType<typeof generate> {
    this.#pair ??= generate()
    return this.#pair
  }
}

function generate () {
  return crypto.subtle.generateKey(
    { ...RSA_OAEP, modulusLength: 4096, publicExponent: new Uint8Array([1, 0, 1]) }, false, ['encrypt', 'decrypt']
  )
}
