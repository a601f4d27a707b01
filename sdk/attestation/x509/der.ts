/**
 * The outermost layer of signed ASN.1 objects (RFC 5280, sections 4.1 and 5.1), read so strictly that no byte can
 * change unnoticed: lengths in their shortest form, nothing in between, nothing behind. What is inside was signed, and
 * is left to @peculiar/asn1-x509.
 */
import type { Bytes } from '../../../lib/protocols/bytes.ts'

export interface Element {
  readonly tag: number
  readonly content: Bytes
  /** Tag, length and content. */
  readonly whole: Bytes
  /** Where the next element begins. */
  readonly end: number
}

/** @throws {RangeError} there is no element in DER at that place */
export function readElement (bytes: Bytes, at: number, tag: number): Element {
  const first = bytes[at + 1]
  if (bytes[at] !== tag || first === undefined) throw new RangeError('Not the expected DER element')
  const count = first < 0x80 ? 0 : first - 0x80
  if (first === 0x80 || count > 3) throw new RangeError('Not a length in DER')
  const digits = bytes.subarray(at + 2, at + 2 + count)
  const length = count === 0 ? first : digits.reduce((value, digit) => value * 256 + digit, 0)
  const shortest = count === 0 || (digits[0] !== 0 && length >= 0x80)
  const begin = at + 2 + count
  const end = begin + length
  if (!shortest || digits.length !== count || end > bytes.length) throw new RangeError('Not a length in DER')
  return { tag, content: bytes.subarray(begin, end), whole: bytes.subarray(at, end), end }
}

/** A certificate or a revocation list: what was signed, how, and the signature. */
export interface SignedObject {
  readonly tbs: Bytes
  /** DER of the AlgorithmIdentifier; the caller compares it with the one inside. */
  readonly algorithm: Bytes
  readonly signature: Bytes
}

/** @throws {RangeError} */
export function readSignedObject (der: Bytes): SignedObject {
  const outer = readElement(der, 0, 0x30)
  if (outer.end !== der.length) throw new RangeError('Something follows the DER object')
  const tbs = readElement(outer.content, 0, 0x30)
  const algorithm = readElement(outer.content, tbs.end, 0x30)
  const bits = readElement(outer.content, algorithm.end, 0x03)
  if (bits.end !== outer.content.length || bits.content[0] !== 0) throw new RangeError('Not a signature')
  return { tbs: tbs.whole, algorithm: algorithm.whole, signature: bits.content.subarray(1) }
}

/**
 * An ECDSA signature as X.509 has it, as WebCrypto wants it.
 *
 * @param size bytes of each number
 * @returns r || s; undefined unless it is DER of two positive numbers of that size
 */
export function ecdsaSignature (der: Bytes, size: number): Bytes | undefined {
  try {
    const outer = readElement(der, 0, 0x30)
    const r = readElement(outer.content, 0, 0x02)
    const s = readElement(outer.content, r.end, 0x02)
    if (outer.end !== der.length || s.end !== outer.content.length) return undefined
    const raw = new Uint8Array(2 * size)
    for (const [i, { content }] of [r, s].entries()) {
      const [first = 0xff, second = 0] = content
      const padded = first === 0
      // Negative, or longer than it need be.
      if (first >= 0x80 || (padded && second < 0x80)) return undefined
      const magnitude = padded ? content.subarray(1) : content
      if (magnitude.length > size) return undefined
      raw.set(magnitude, (i + 1) * size - magnitude.length)
    }
    return raw
  } catch {
    // Not DER.
    return undefined
  }
}
