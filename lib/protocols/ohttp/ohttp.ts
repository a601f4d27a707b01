/**
 * Oblivious HTTP (RFC 9458): what both sides share. Media types, labels, the header of a request, errors.
 *
 *     encapsulated request = key_id(1) kem_id(2) kdf_id(2) aead_id(2) enc(Nenc) ct
 *     encapsulated response = response_nonce(max(Nn, Nk)) ct
 */
import { ascii, concat, readUint16, uint16 } from '../bytes.ts'
import type { Bytes } from '../bytes.ts'
import { aeadSizes, isSupported, kemSizes } from './suites.ts'

export const REQUEST_MEDIA_TYPE = 'message/ohttp-req'
export const RESPONSE_MEDIA_TYPE = 'message/ohttp-res'
export const CHUNKED_REQUEST_MEDIA_TYPE = 'message/ohttp-chunked-req'
export const CHUNKED_RESPONSE_MEDIA_TYPE = 'message/ohttp-chunked-res'

/** What tells the one-shot form and the chunked one apart, beside the framing. */
export interface Labels {
  readonly request: Bytes
  readonly response: Bytes
}

export const LABELS: Labels = {
  request: ascii('message/bhttp request'),
  response: ascii('message/bhttp response')
}

export const CHUNKED_LABELS: Labels = {
  request: ascii('message/bhttp chunked request'),
  response: ascii('message/bhttp chunked response')
}

/** Labels of the key derivation for a response (RFC 9458, section 4.4). */
export const RESPONSE_KEY_LABEL = ascii('key')
export const RESPONSE_NONCE_LABEL = ascii('nonce')

export type OhttpErrorCode = 'ERR_OHTTP_KEY' | 'ERR_OHTTP_OPEN' | 'ERR_OHTTP_INCOMPLETE'

const MESSAGES: Readonly<Record<OhttpErrorCode, string>> = {
  ERR_OHTTP_KEY: 'The key or its algorithms are not known, or not any more',
  ERR_OHTTP_OPEN: 'The message cannot be opened',
  ERR_OHTTP_INCOMPLETE: 'The message ends before its final chunk'
}

/**
 * ERR_OHTTP_KEY: fetch the key configuration again. ERR_OHTTP_OPEN: malformed or not authentic; does not say which.
 * ERR_OHTTP_INCOMPLETE: the stream was interrupted. The cause, if any, is for tests: it is not logged and not sent.
 */
export class OhttpError extends Error {
  override readonly name = 'OhttpError'
  readonly code: OhttpErrorCode

  constructor (code: OhttpErrorCode, options?: ErrorOptions) {
    super(MESSAGES[code], options)
    this.code = code
  }
}

/** What a request is encrypted to. */
export interface RequestHeader {
  readonly keyId: number
  readonly kemId: number
  readonly kdfId: number
  readonly aeadId: number
}

/** Octets of an encoded header. */
export const HEADER_LENGTH = 7

export function encodeHeader ({ keyId, kemId, kdfId, aeadId }: RequestHeader): Bytes {
  return concat(Uint8Array.of(keyId), uint16(kemId, kdfId, aeadId))
}

/**
 * Reads the header, 7 octets.
 *
 * @returns the header and the length of the encapsulated key that follows it
 * @throws {OhttpError} ERR_OHTTP_OPEN: too short; ERR_OHTTP_KEY: algorithms that we do not speak
 */
export function decodeHeader (bytes: Uint8Array): { header: RequestHeader, Nenc: number } {
  const [keyId] = bytes
  if (keyId === undefined || bytes.length < HEADER_LENGTH) throw new OhttpError('ERR_OHTTP_OPEN')
  const header = { keyId, kemId: readUint16(bytes, 1), kdfId: readUint16(bytes, 3), aeadId: readUint16(bytes, 5) }
  const sizes = kemSizes(header.kemId)
  if (sizes === undefined || !isSupported(header)) throw new OhttpError('ERR_OHTTP_KEY')
  return { header, Nenc: sizes.Nenc }
}

/** The info that a request's HPKE context is set up with (RFC 9458, section 4.3). */
export function requestInfo (header: RequestHeader, labels: Labels): Bytes {
  return concat(labels.request, Uint8Array.of(0), encodeHeader(header))
}

/**
 * Sizes of key, nonce and tag of a response, and of the response nonce, which is as long as the longer of the first
 * two.
 */
export function responseSizes (aeadId: number): { Nk: number, Nn: number, Nt: number, nonceLength: number } {
  const sizes = aeadSizes(aeadId)
  if (sizes === undefined) throw new OhttpError('ERR_OHTTP_KEY')
  const { Nk, Nn, Nt } = sizes
  return { Nk, Nn, Nt, nonceLength: Math.max(Nk, Nn) }
}
