/** RSA public keys as the legacy protocol carries them: SubjectPublicKeyInfo in PEM (RFC 7468, section 13). */
import { decodeBase64, encodeBase64 } from '../../lib/protocols/base64.ts'
import { WRAPPED_BYTES } from '../../lib/protocols/polaris-v1.ts'
import { PublicKeyError } from '../errors.ts'

type Key = InstanceType<typeof CryptoKey>

export const RSA_OAEP = { name: 'RSA-OAEP', hash: 'SHA-256' } as const

/** Clients talk to few proxies. Beyond this many keys the memory of them is emptied. */
const MAX_REMEMBERED = 32
const remembered = new Map<string, Promise<Key>>()

/**
 * Imports a public key once, however often it is used.
 *
 * @throws {PublicKeyError} not PEM, not RSA, or not of 2048, 3072 or 4096 bits
 */
export function importPublicKey (pem: string): Promise<Key> {
  let key = remembered.get(pem)
  if (!key) {
    if (remembered.size === MAX_REMEMBERED) remembered.clear()
    key = parsePublicKey(pem)
    remembered.set(pem, key)
  }
  return key
}

async function parsePublicKey (pem: string): Promise<Key> {
  const match = /^\s*-----BEGIN PUBLIC KEY-----([^-]+)-----END PUBLIC KEY-----\s*$/.exec(pem)
  const spki = match?.[1] === undefined ? undefined : decodeBase64(match[1])
  if (!spki) throw new PublicKeyError('The public key is not PEM: it begins with -----BEGIN PUBLIC KEY-----')
  let key: Key
  try {
    key = await crypto.subtle.importKey('spki', spki, RSA_OAEP, false, ['encrypt'])
  } catch (cause) {
    throw new PublicKeyError('The public key is not an RSA key', { cause })
  }
  const { modulusLength } = key.algorithm as { modulusLength?: number }
  if (modulusLength === undefined || !WRAPPED_BYTES.includes(modulusLength / 8)) {
    throw new PublicKeyError('The public key has an unsupported size: use RSA with 2048, 3072 or 4096 bits')
  }
  return key
}

export async function exportPublicKey (key: Key): Promise<string> {
  const text = encodeBase64(new Uint8Array(await crypto.subtle.exportKey('spki', key)))
  return `-----BEGIN PUBLIC KEY-----\n${text.replace(/.{64}(?!$)/g, '$&\n')}\n-----END PUBLIC KEY-----\n`
}
