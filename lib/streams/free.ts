/**
 * Memory that is given back at once. Large bodies pass through the proxy in Buffers that V8 would find dead only when it
 * has marked all of its heap, which costs more than opening and sealing them (docs/decisions/0017-buffers-freed-by-hand.md).
 */

/** Fewer octets are not worth the call. */
const FREED_FROM = 16 * 1024

/** Octets to write to, of which large ones can be freed: Node cuts those of up to 32 KiB out of something larger. */
export function allocate (length: number): Buffer {
  return length < FREED_FROM ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length)
}

/**
 * Frees the memory of these octets, where they are all of it; not where they are a part of something larger. Every view
 * of that memory is empty afterwards: only for octets that nobody else will look at, nor an operation under way.
 */
export function free ({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < FREED_FROM || byteLength !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return
  try {
    buffer.transfer(0)
  } catch {
    // Some memory cannot be detached, such as WebAssembly's. It stays.
  }
}

/** A mark on the memory itself: a WeakSet of it would be gone through by every scavenge. */
const SENDABLE = Symbol('polaris.freed-once-sent')

type Markable = ArrayBufferLike & { [SENDABLE]?: true }

/** Says of octets that nobody will look at them once they were sent. */
export function freeOnceSent ({ buffer, byteLength }: Uint8Array): void {
  if (byteLength >= FREED_FROM) (buffer as Markable)[SENDABLE] = true
}

/** Whether that was said. */
export function isFreedOnceSent ({ buffer }: Uint8Array): boolean {
  return (buffer as Markable)[SENDABLE] === true
}
