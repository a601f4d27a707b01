/**
 * EHBP, the Encrypted HTTP Body Protocol: names and numbers of the wire format, which is not ours
 * (docs/protocol-ehbp.md). One suite, X25519 with HKDF-SHA256 and AES-256-GCM, and nothing to negotiate.
 */
import { ascii } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { decodeKeyConfigs, encodeKeyConfig } from './ohttp/key-config.ts'
import { AEAD_AES_256_GCM, KDF_HKDF_SHA256, KEM_X25519 } from './ohttp/suites.ts'

export const EHBP_SUITE = { kemId: KEM_X25519, kdfId: KDF_HKDF_SHA256, aeadId: AEAD_AES_256_GCM } as const

export const EHBP_KEYS_PATH = '/.well-known/hpke-keys'

/** Bytes of the key encapsulated in a request, and of the nonce of a response. */
export const ENC_BYTES = 32
export const RESPONSE_NONCE_BYTES = 32

/** Of requests with a body: the encapsulated key, as lower-case hexadecimal digits. */
export const ENC_HEADER = 'ehbp-encapsulated-key'
/** Of the responses to them: the nonce that their key is made with, as lower-case hexadecimal digits. */
export const NONCE_HEADER = 'ehbp-response-nonce'

export const REQUEST_INFO = ascii('ehbp request')
export const RESPONSE_LABEL = ascii('ehbp response')

/** In front of every frame, in either direction: the length of its ciphertext, tag included. */
export const LENGTH_BYTES = 4

/**
 * One configuration, without the length that RFC 9458 puts in front of each. Requests name no key: the id is always 0.
 */
export function encodeEhbpKey (publicKey: Uint8Array): Bytes {
  const { kemId, kdfId, aeadId } = EHBP_SUITE
  return encodeKeyConfig({ keyId: 0, kemId, publicKey, suites: [{ kdfId, aeadId }] })
}

/**
 * The public key for EHBP among those of `application/ohttp-keys`; undefined if there is none.
 * @throws {KeyConfigError}
 */
export function ehbpKeyOf (list: Uint8Array): Uint8Array | undefined {
  return decodeKeyConfigs(list).find(({ kemId }) => kemId === EHBP_SUITE.kemId)?.publicKey
}
