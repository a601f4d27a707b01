/**
 * Memory that is given back at once. Large bodies pass through the proxy in buffers that V8 would find dead only when
 * it has marked all of its heap, which costs more than opening and sealing them
 * (docs/decisions/0017-buffers-freed-by-hand.md).
 *
 * Freed are only bytes that have exactly one owner, which the type says: `Owned` comes from `allocate` and `own` alone,
 * and goes to `free` in the end, by way of a stream whose reader takes the ownership over.
 */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { ReadableOptions } from 'node:stream'
import { buildConnector } from 'undici'
import { writeSmall } from './write-small.ts'

declare const owner: unique symbol
/** Bytes that nothing else refers to, nor to any other part of their memory. To pass them on is to give them away. */
export type Owned = Buffer<ArrayBuffer> & { readonly [owner]: true }

/** Fewer bytes are not worth the call. */
const FREED_FROM = 16 * 1024

/** Bytes to write to, of which large ones can be freed: Node cuts those of up to 32 KiB out of something larger. */
export function allocate (length: number): Owned {
  return (length < FREED_FROM ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length)) as Owned
}

/**
 * Takes over what a function has just made for its caller, such as a cipher's output. The caller forgets its own
 * reference.
 */
export function own (bytes: Uint8Array): Owned {
  if (Buffer.isBuffer(bytes)) return bytes as Owned
  const { buffer, byteOffset, byteLength } = bytes
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength) as Owned
}

/**
 * Gives the memory back, if it is large and the bytes are all of it. Every view of it is empty afterwards; no operation
 * may be under way.
 */
export function free (bytes: Owned): void {
  release(bytes)
}

function release ({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < FREED_FROM || byteLength !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return
  try {
    buffer.transfer(0)
  } catch {
    // Some memory cannot be detached, such as WebAssembly's. It stays.
  }
}

/** A mark on the memory itself, for sockets: a WeakSet of it would be gone through by every scavenge. */
const GIVEN_AWAY = Symbol('polaris.owned')

type Markable = ArrayBufferLike & { [GIVEN_AWAY]?: true }

/**
 * A stream of owned pieces. They belong to its reader. `pipe` frees each once the destination has written it; a reader
 * of another kind may leave them to V8.
 */
export class OwnedStream extends Readable {
  constructor (options: ReadableOptions = {}) {
    super({ ...options, objectMode: false })
  }

  /** Pieces that are there already. */
  static of (pieces: readonly Owned[]): OwnedStream {
    const left = pieces.values()
    return new OwnedStream({
      read () {
        for (;;) {
          const { done, value } = left.next()
          if (done === true) this.push(null)
          if (done === true || !(this as OwnedStream).give(value)) return
        }
      }
    })
  }

  /** Adds a piece, as `push` does. */
  give (piece: Owned): boolean {
    if (piece.byteLength >= FREED_FROM) (piece.buffer as Markable)[GIVEN_AWAY] = true
    return this.push(piece)
  }

  /**
   * Sends to one destination, and ends it when this ends. The caller handles the errors of both, as with any pipe.
   */
  override pipe<T extends NodeJS.WritableStream> (destination: T): T {
    this.on('data', (piece: Buffer) => {
      if (piece.byteLength < FREED_FROM) {
        if (!writeSmall(destination, piece)) this.pause()
        return
      }
      // Called when the kernel, or TLS, has all of it. After an error something may still read from it: left to V8.
      const more = destination.write(piece, error => { if (!error) release(piece) })
      if (!more) this.pause()
    })
    destination.on('drain', () => { this.resume() })
    this.once('end', () => { destination.end() })
    destination.emit('pipe', this)
    return destination
  }
}

/**
 * undici's connector, of sockets that free what they have sent of an `OwnedStream`, and nothing else. They belong to
 * one pool, which says nothing of when a piece was written; and no other code sees them.
 */
export function createFreeingConnector (options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector(options)
  return (target, callback) => connect(target, (...result) => {
    const [error, socket] = result
    if (error === null) freeSent(socket)
    callback(...result)
  })
}

function freeSent (socket: Socket): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  socket.write = (...args: unknown[]): boolean => {
    const [chunk, second, third] = args
    if (!(chunk instanceof Uint8Array) || (chunk.buffer as Markable)[GIVEN_AWAY] !== true) return write(...args)
    const [encoding, then] = typeof second === 'function' ? [undefined, second] : [second, third]
    return write(chunk, encoding, (error: Error | null | undefined) => {
      if (!error) release(chunk)
      if (typeof then === 'function') then(error)
    })
  }
}
