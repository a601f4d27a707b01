/**
 * Holds a message that arrives in pieces of any size, in blocks of memory of its own. Each byte kept in an array of its
 * own would take more than a hundred bytes, and what was read from a connection could not be freed by hand
 * (docs/decisions/0017-buffers-freed-by-hand.md).
 */
import { own } from './owned.ts'
import type { Owned } from './owned.ts'

const MIN_BLOCK_BYTES = 1024
const MAX_BLOCK_BYTES = 64 * 1024

export interface Collector {
  /** Copies a piece, with which the message must not be longer than it may be. */
  push (piece: Buffer): void
  /** Bytes of the message so far. */
  readonly length: number
  /** The message in order. Nothing may be pushed afterwards. */
  blocks (): Owned[]
}

/**
 * @param most bytes that the message may have
 * @param hold called with the number of bytes of memory before they are kept; it throws if they are too many
 */
export function createCollector (most: number, hold: (bytes: number) => void): Collector {
  const full: Owned[] = []
  let block: Owned | undefined
  let used = 0
  let length = 0

  /** Blocks grow with the message, so that a short one does not take a long one's memory. */
  function startBlock (): Owned {
    const size = Math.min(MAX_BLOCK_BYTES, Math.max(MIN_BLOCK_BYTES, length), most - length)
    hold(size)
    return own(Buffer.allocUnsafeSlow(size))
  }

  return {
    push (piece) {
      for (let at = 0; at < piece.length;) {
        block ??= startBlock()
        const copied = piece.copy(block, used, at)
        at += copied
        used += copied
        length += copied
        if (used < block.length) continue
        full.push(block)
        block = undefined
        used = 0
      }
    },
    get length () { return length },
    blocks () {
      if (block !== undefined) full.push(own(block.subarray(0, used)))
      block = undefined
      return full
    }
  }
}
