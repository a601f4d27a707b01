/**
 * Memory that is given back at once. Large bodies pass through the proxy in Buffers that V8 would find dead only when it
 * has marked all of its heap, which costs more than opening and sealing them (docs/decisions/0017-buffers-freed-by-hand.md).
 */

/** Below, it is not worth the call. */
const LARGE_BYTES = 16 * 1024

/**
 * Frees the memory of these octets, where they are all of it; not where they are a part of something larger. Every view
 * of that memory is empty afterwards: only for octets that nobody else will look at, nor an operation under way.
 */
export function free ({ buffer, byteLength }: Uint8Array): void {
  if (byteLength >= LARGE_BYTES && byteLength === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0)
}
