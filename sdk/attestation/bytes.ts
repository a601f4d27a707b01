/** Small operations on public bytes. None of them takes the same time for all values. */
import type { Bytes } from '../../lib/protocols/bytes.ts'

/** For public values only: it stops at the first difference. */
export function sameBytes (one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i])
}

export function isZero (bytes: Uint8Array): boolean {
  return bytes.every(byte => byte === 0)
}

/** Lower-case hexadecimal. */
export function toHex (bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

/** @returns undefined unless the text is lower-case hexadecimal, of that many bytes if a length is given */
export function fromHex (text: string, length?: number): Bytes | undefined {
  if (text.length % 2 !== 0 || !/^[\da-f]*$/.test(text)) return undefined
  if (length !== undefined && text.length !== 2 * length) return undefined
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16))
}
