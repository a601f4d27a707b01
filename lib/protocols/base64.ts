/**
 * Base64 (RFC 4648, sections 4 and 5) for octets. Reads both alphabets, padded or not, with white space anywhere;
 * writes the standard alphabet with padding.
 */
import { decodeLatin1 } from './bytes.ts'
import type { Bytes } from './bytes.ts'

/** What a JavaScript engine has of the Uint8Array base64 methods (ECMAScript 2026); absent from Node 24. */
interface NativeBase64 {
  fromBase64?: (text: string, options: { lastChunkHandling: 'loose' }) => Bytes
}

/**
 * @returns the octets, or undefined where the text is not base64. Never throws, so that each caller can refuse in its
 * own words.
 */
export function decodeBase64 (text: string): Bytes | undefined {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/')
  const { fromBase64 } = Uint8Array as NativeBase64
  try {
    if (fromBase64) return fromBase64(standard, { lastChunkHandling: 'loose' })
    const binary = atob(standard)
    const octets = new Uint8Array(binary.length)
    for (let i = 0; i < octets.length; i++) octets[i] = binary.charCodeAt(i)
    return octets
  } catch {
    return undefined
  }
}

export function encodeBase64 (octets: Uint8Array): string {
  const { toBase64 } = octets as Uint8Array & { toBase64?: () => string }
  return toBase64 ? toBase64.call(octets) : btoa(decodeLatin1(octets))
}
