/** The few operations on octets that the wire formats share. Uint8Array only, so that they run in browsers too. */

/** Octets with a buffer of their own, as WebCrypto and `fetch` want them. */
export type Bytes = Uint8Array<ArrayBuffer>

/** No bytes: one array for all, as nothing can be written to it. */
export const EMPTY: Bytes = new Uint8Array(0)

const encoder = new TextEncoder()

export function concat (...parts: readonly Uint8Array[]): Bytes {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** The octets of an ASCII string: protocol labels, not user input. */
export function ascii (text: string): Bytes {
  return encoder.encode(text)
}

/** One character per octet, as HTTP field values are read (RFC 9110, section 5.5). */
export function decodeLatin1 (bytes: Uint8Array): string {
  let text = ''
  // In pieces: the number of arguments of a call is limited.
  for (let i = 0; i < bytes.length; i += 4096) {
    text += Reflect.apply(String.fromCharCode, undefined, bytes.subarray(i, i + 4096))
  }
  return text
}

/** Writes one octet per character at the offset, where there must be room. Characters above U+00FF do not fit. */
export function writeLatin1 (target: Uint8Array, text: string, offset: number): number {
  for (let i = 0; i < text.length; i++) target[offset + i] = text.charCodeAt(i)
  return offset + text.length
}

export function readUint16 (bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0)
}

export function uint16 (...values: readonly number[]): Bytes {
  return Uint8Array.from(values.flatMap(value => [value >>> 8, value & 0xff]))
}
