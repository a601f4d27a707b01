/**
 * The wire format of the legacy protocol, "Polaris v1".
 *
 *     message    = uint32be header length || header || ciphertext
 *     header     = UTF-8 JSON {"wrappedKey", "wrappedIV", "authTag"}, each base64
 *     ciphertext = AES-256-GCM, no additional data, its 16-octet tag in the header
 *
 * wrappedKey and wrappedIV are each RSA-OAEP (SHA-256, MGF1-SHA-256, no label; RFC 8017, section 7.1) of the AES key
 * and of the IV: 12 octets from browsers, 16 from the original Node client.
 *
 * Existing clients speak this, to the byte. It has no replay protection of its own, does not bind the messages of one
 * request to each other, and cannot stream; new clients use Oblivious HTTP.
 */
import { decodeBase64, encodeBase64 } from './base64.ts'
import type { Bytes } from './bytes.ts'

/** By way of the constructor, because Node's types know it by no other name and browsers' types know both. */
type Key = InstanceType<typeof CryptoKey>

/** The header-length prefix. */
export const LENGTH_BYTES = 4
/** Refused beyond, before any parsing. A header made for an RSA-4096 key has 1437 octets. */
export const MAX_HEADER_BYTES = 16 * 1024
export const KEY_BYTES = 32
export const TAG_BYTES = 16
/** The IVs of the two clients in the field. */
export const IV_BYTES: readonly number[] = [12, 16]
/** Lengths of a wrapped value: moduli of RSA-2048, RSA-3072 and RSA-4096. */
export const WRAPPED_BYTES: readonly number[] = [256, 384, 512]

/** GCM is made for this length (NIST SP 800-38D, section 5.2.1.1), and every reader takes it. */
const SEALING_IV_BYTES = 12

/** Whatever is wrong with a message, this is all that is said about it. */
export class MessageError extends Error {
  override readonly name = 'MessageError'
  readonly code = 'ERR_POLARIS_V1_MESSAGE'

  constructor (options?: ErrorOptions) {
    super('The message cannot be opened', options)
  }
}

export interface MessageHeader {
  /** The AES key, encrypted; as long as the modulus of the RSA key. */
  wrappedKey: Bytes
  /** The IV, encrypted; as long as wrappedKey. */
  wrappedIV: Bytes
  /** 16 octets. */
  authTag: Bytes
}

/**
 * Reads the prefix of a message whose rest has not arrived yet.
 *
 * @param prefix the first LENGTH_BYTES octets, or more
 * @returns the length of the header, between 1 and MAX_HEADER_BYTES
 * @throws {MessageError}
 */
export function parseHeaderLength (prefix: Uint8Array): number {
  if (prefix.length < LENGTH_BYTES) throw new MessageError()
  const length = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES).getUint32(0)
  if (length === 0 || length > MAX_HEADER_BYTES) throw new MessageError()
  return length
}

/**
 * Cuts a whole message into its two parts, views of it.
 *
 * @throws {MessageError}
 */
export function splitMessage<B extends ArrayBufferLike> (message: Uint8Array<B>): {
  header: Uint8Array<B>, ciphertext: Uint8Array<B>
} {
  const end = LENGTH_BYTES + parseHeaderLength(message)
  if (message.length < end) throw new MessageError()
  return { header: message.subarray(LENGTH_BYTES, end), ciphertext: message.subarray(end) }
}

/**
 * Reads the JSON between the length and the ciphertext. Of a name that occurs twice the last counts; unknown names do
 * not matter.
 *
 * @throws {MessageError}
 */
export function parseMessageHeader (header: Uint8Array): MessageHeader {
  if (header.length > MAX_HEADER_BYTES) throw new MessageError()
  const fields = parseObject(header)
  const wrappedKey = octetsOf(fields, 'wrappedKey')
  const wrappedIV = octetsOf(fields, 'wrappedIV')
  const authTag = octetsOf(fields, 'authTag')
  if (!WRAPPED_BYTES.includes(wrappedKey.length) || wrappedIV.length !== wrappedKey.length) throw new MessageError()
  if (authTag.length !== TAG_BYTES) throw new MessageError()
  return { wrappedKey, wrappedIV, authTag }
}

/** All of a message that precedes its ciphertext: the length and the header. */
export function encodeMessageHead (
  { wrappedKey, wrappedIV, authTag }: { [name in keyof MessageHeader]: Uint8Array }
): Bytes {
  const header = new TextEncoder().encode(JSON.stringify({
    wrappedKey: encodeBase64(wrappedKey),
    wrappedIV: encodeBase64(wrappedIV),
    authTag: encodeBase64(authTag)
  }))
  const head = new Uint8Array(LENGTH_BYTES + header.length)
  new DataView(head.buffer).setUint32(0, header.length)
  head.set(header, LENGTH_BYTES)
  return head
}

/** @throws {MessageError} where an unwrapped key does not have exactly the octets of an AES-256 key */
export function checkKey (key: Uint8Array): void {
  if (key.length !== KEY_BYTES) throw new MessageError()
}

/** @throws {MessageError} where an unwrapped IV has neither 12 nor 16 octets */
export function checkIV (iv: Uint8Array): void {
  if (!IV_BYTES.includes(iv.length)) throw new MessageError()
}

/**
 * Encrypts to a public key, with a key and an IV used only once.
 *
 * @param publicKey RSA-OAEP with SHA-256, usage 'encrypt', of 2048, 3072 or 4096 bits
 */
export async function sealMessage (plaintext: Bytes, publicKey: Key): Promise<Bytes> {
  const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES))
  const iv = crypto.getRandomValues(new Uint8Array(SEALING_IV_BYTES))
  const [wrappedKey, wrappedIV, sealed] = await Promise.all([
    crypto.subtle.encrypt('RSA-OAEP', publicKey, key),
    crypto.subtle.encrypt('RSA-OAEP', publicKey, iv),
    importKey(key, 'encrypt').then(aes => crypto.subtle.encrypt({ name: 'AES-GCM', iv }, aes, plaintext))
  ])

  // WebCrypto puts the tag after the ciphertext.
  const ciphertext = new Uint8Array(sealed, 0, sealed.byteLength - TAG_BYTES)
  const head = encodeMessageHead({
    wrappedKey: new Uint8Array(wrappedKey),
    wrappedIV: new Uint8Array(wrappedIV),
    authTag: new Uint8Array(sealed, ciphertext.length)
  })
  const message = new Uint8Array(head.length + ciphertext.length)
  message.set(head)
  message.set(ciphertext, head.length)
  return message
}

/**
 * Decrypts a whole message.
 *
 * @param unwrap RSA-OAEP decryption of the wrapped key and of the wrapped IV, wherever the private key is
 * @throws {MessageError} with whatever `unwrap` rejected with as its cause
 */
export async function openMessage (
  message: Uint8Array, unwrap: (wrapped: Bytes) => Promise<Uint8Array>
): Promise<Bytes> {
  const { header, ciphertext } = splitMessage(message)
  const { wrappedKey, wrappedIV, authTag } = parseMessageHeader(header)
  try {
    const [key, iv] = await Promise.all([unwrap(wrappedKey), unwrap(wrappedIV)])
    checkKey(key)
    checkIV(iv)
    const sealed = new Uint8Array(ciphertext.length + TAG_BYTES)
    sealed.set(ciphertext)
    sealed.set(authTag, ciphertext.length)
    const aes = await importKey(new Uint8Array(key), 'decrypt')
    return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv: new Uint8Array(iv) }, aes, sealed))
  } catch (cause) {
    throw cause instanceof MessageError ? cause : new MessageError({ cause })
  }
}

function importKey (key: Bytes, usage: 'encrypt' | 'decrypt'): Promise<Key> {
  return crypto.subtle.importKey('raw', key, 'AES-GCM', false, [usage])
}

/** A JSON object from strict UTF-8. A byte order mark is kept by the decoder, and then refused as not JSON. */
function parseObject (octets: Uint8Array): object {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets))
  } catch {
    // The parser's own error quotes what it was given.
    throw new MessageError()
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MessageError()
  return value
}

/** Own properties only: `__proto__` in the JSON, or a polluted Object.prototype, supplies nothing. */
function octetsOf (fields: object, name: keyof MessageHeader): Bytes {
  const text: unknown = Object.getOwnPropertyDescriptor(fields, name)?.value
  const octets = typeof text === 'string' ? decodeBase64(text) : undefined
  if (octets === undefined) throw new MessageError()
  return octets
}
