/** Seals and opens messages of the legacy protocol, for the interceptors and for direct callers. */
import { decodeBase64 } from '../../lib/protocols/base64.ts'
import { MessageError, openMessage, sealMessage } from '../../lib/protocols/polaris-v1.ts'
import type { KeyHandler } from './key-handler.ts'
import { toBuffer, toOctets } from './octets.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'
import { importPublicKey } from './rsa.ts'

/**
 * Bytes are taken as Uint8Array, Buffer or ArrayBuffer. They are returned as Uint8Array, which in Node is a Buffer, so
 * that code written for the original client goes on working.
 */
export class PolarisSDK {
  readonly #keyHandler: KeyHandler

  constructor (keyHandler: KeyHandler) {
    this.#keyHandler = keyHandler
  }

  /** @returns the client's own public key: SubjectPublicKeyInfo, PEM */
  async getPublicKey (): Promise<string> {
    return this.#keyHandler.getPublicKey()
  }

  /**
   * RSA-OAEP encryption (SHA-256, MGF1-SHA-256, no label).
   *
   * @param publicKey SubjectPublicKeyInfo, PEM
   * @throws {PublicKeyError}
   */
  async wrapKey (key: Uint8Array | ArrayBuffer, publicKey: string): Promise<Bytes> {
    return toBuffer(
      new Uint8Array(await crypto.subtle.encrypt('RSA-OAEP', await importPublicKey(publicKey), toOctets(key)))
    )
  }

  /** RSA-OAEP decryption with the client's own private key. */
  async unwrapKey (wrappedKey: Uint8Array | ArrayBuffer): Promise<Bytes> {
    return toBuffer(toOctets(await this.#keyHandler.unwrapKey(toBuffer(toOctets(wrappedKey)))))
  }

  /**
   * @param data a string is encoded as UTF-8
   * @param publicKey whom to encrypt to: SubjectPublicKeyInfo, PEM
   * @returns the message
   * @throws {PublicKeyError}
   */
  async encrypt (data: Uint8Array | ArrayBuffer | string, publicKey: string): Promise<Bytes> {
    return toBuffer(await sealMessage(toOctets(data), await importPublicKey(publicKey)))
  }

  /**
   * @param message a string is base64, as the bodies of responses are
   * @throws {MessageError}
   */
  async decrypt (message: Uint8Array | ArrayBuffer | string): Promise<Bytes> {
    const octets = typeof message === 'string' ? decodeBase64(message) : toOctets(message)
    if (!octets) throw new MessageError()
    return toBuffer(await openMessage(octets, wrapped => this.unwrapKey(wrapped)))
  }
}
