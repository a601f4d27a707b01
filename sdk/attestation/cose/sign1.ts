/**
 * Signed CBOR objects (COSE_Sign1, RFC 9052, section 4.2), as far as endorsements need them: the payload inside, the
 * header parameters protected, no external data. CBOR is decoded strictly (RFC 8949): shortest forms, definite lengths,
 * no duplicate keys, no tags but the one for times.
 *
 *     COSE_Sign1    = 18([protected: bstr, unprotected: map, payload: bstr, signature: bstr])
 *     Sig_structure = ["Signature1", protected, external_aad: h'', payload]
 */
import { decode, encode } from 'cborg'
import type { Bytes } from '../../../lib/protocols/bytes.ts'

const TAG_SIGN1 = 0xd2
const TAG_TIME = 1
const MAX_BYTES = 64 * 1024
/** Header parameters (IANA, "COSE Header Parameters"). */
export const ALGORITHM = 1
const CRITICAL = 2
/** PS384: RSASSA-PSS with SHA-384 and a salt of 48 bytes (RFC 8230). */
const PS384 = -38

const STRICT = {
  strict: true,
  useMaps: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowNaN: false,
  allowInfinity: false,
  tags: { [TAG_TIME]: (content: () => unknown) => content() }
} as const

export type Headers = ReadonlyMap<unknown, unknown>

export interface Sign1 {
  /** The protected header parameters. Nothing else of the header is signed, so nothing else is read. */
  readonly headers: Headers
  readonly payload: Bytes
  /** The bytes that are signed. */
  readonly signed: Bytes
  readonly signature: Bytes
}

/** These bytes are no COSE_Sign1 that is accepted here. The message repeats nothing of them. */
export class CoseError extends Error {
  override readonly name = 'CoseError'
  readonly code = 'ERR_COSE'
}

/** Reads an object, with its tag or without. Nothing is verified. @throws {CoseError} */
export function parseSign1 (bytes: Uint8Array): Sign1 {
  if (bytes.length > MAX_BYTES) throw new CoseError('it is too long')
  const parts = decodeStrictly(bytes[0] === TAG_SIGN1 ? bytes.subarray(1) : bytes)
  if (!Array.isArray(parts) || parts.length !== 4) throw new CoseError('it is not an array of four')
  const [
    header, unprotected, payload, signature
  ] = parts.map(part => part instanceof Uint8Array ? Uint8Array.from(part) : part)
  if (!isBytes(header) || !(unprotected instanceof Map) || !isBytes(payload) || !isBytes(signature)) {
    throw new CoseError('its parts are not header, header, payload and signature')
  }
  const headers = decodeStrictly(header)
  if (!(headers instanceof Map)) throw new CoseError('its protected header is not a map')
  if (headers.has(CRITICAL)) throw new CoseError('it has critical header parameters')
  const signed = encode(['Signature1', header, new Uint8Array(), payload])
  return { headers, payload, signed: Uint8Array.from(signed), signature }
}

/** Whether a key made the signature, with the one algorithm that is accepted: PS384. */
export async function isSignedWith ({ headers, signed, signature }: Sign1, spki: Bytes): Promise<boolean> {
  if (headers.get(ALGORITHM) !== PS384) return false
  try {
    const key = await crypto.subtle.importKey('spki', spki, { name: 'RSA-PSS', hash: 'SHA-384' }, false, ['verify'])
    return await crypto.subtle.verify({ name: 'RSA-PSS', saltLength: 48 }, key, signature, signed)
  } catch {
    // A key that WebCrypto cannot import signs nothing.
    return false
  }
}

function decodeStrictly (bytes: Uint8Array): unknown {
  try {
    return decode(bytes, STRICT)
  } catch {
    // The decoder's error may quote its input. Nesting that is too deep for the stack ends here, too.
    throw new CoseError('it is not CBOR in its strict form')
  }
}

function isBytes (value: unknown): value is Bytes {
  return value instanceof Uint8Array
}
