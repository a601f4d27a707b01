/**
 * Base64url without padding (RFC 4648, section 5), the strict way: each octet string has exactly one text, and every
 * other text is refused. Where a nonce or a hash is compared as text, that matters.
 */
import { decodeLatin1 } from './bytes.ts'
import type { Bytes } from './bytes.ts'

export function encodeBase64url (octets: Uint8Array): string {
  return btoa(decodeLatin1(octets)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** @returns the octets, or undefined where the text is not the one encoding of any. Never throws. */
export function decodeBase64url (text: string): Bytes | undefined {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) return undefined
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  const octets = new Uint8Array(binary.length)
  for (let i = 0; i < octets.length; i++) octets[i] = binary.charCodeAt(i)
  // The bits that the last character has to spare must be zero.
  const last = encodeBase64url(octets.subarray(octets.length - octets.length % 3))
  return last === text.slice(text.length - text.length % 4) ? octets : undefined
}
