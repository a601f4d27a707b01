/** Bytes in and out of the public interface. */
import type { Bytes } from '../../lib/protocols/bytes.ts'

interface NodeBuffer extends Bytes {
  toString (encoding?: string): string
}

interface NodeBufferConstructor {
  from (octets: ArrayBuffer, offset: number, length: number): NodeBuffer
}

/** Also those of another realm, as test environments that play a browser have them. */
export function isArrayBuffer (value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]'
}

/** @returns the bytes of a string (UTF-8), or of whatever holds bytes; copied only where their memory is shared */
export function toOctets (data: string | ArrayBuffer | ArrayBufferView): Bytes {
  if (typeof data === 'string') return new TextEncoder().encode(data)
  if (!ArrayBuffer.isView(data)) return new Uint8Array(data)
  const { buffer, byteOffset, byteLength } = data
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, byteLength)
    : Uint8Array.from(new Uint8Array(buffer, byteOffset, byteLength))
}

/**
 * The same bytes as a Buffer where there is one (in Node), for code written against the original client, which calls
 * `toString('utf8')` on what it is given. The browser build has none of this: it defines `globalThis.Buffer` away.
 */
export function toBuffer (octets: Bytes): Bytes {
  const NodeBuffer = (globalThis as { Buffer?: NodeBufferConstructor }).Buffer
  return NodeBuffer ? NodeBuffer.from(octets.buffer, octets.byteOffset, octets.length) : octets
}

/** @param encoding one of Node's names; without Node it is UTF-8 whatever the name, as axios has it in browsers */
export function toText (octets: Bytes, encoding = 'utf8'): string {
  return /^utf-?8$/i.test(encoding)
    ? new TextDecoder().decode(octets)
    : (toBuffer(octets) as NodeBuffer).toString(encoding)
}
