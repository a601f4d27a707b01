/**
 * Holds a message that arrives in pieces of any size. Small pieces are joined into blocks: each byte kept in an array
 * of its own would take more than a hundred bytes of memory.
 */

/** Pieces of this size and above are kept as they are. */
const LARGE_BYTES = 4 * 1024
const MIN_BLOCK_BYTES = 1024
const MAX_BLOCK_BYTES = 64 * 1024

export interface Collector {
  /**
   * Adds a piece, with which the message must not be longer than it may be. The piece must be all of its memory: a part
   * of something larger would keep that alive, uncounted.
   */
  push (piece: Buffer): void
  /** Bytes of the message so far. */
  readonly length: number
  /** The message in order. Nothing may be pushed afterwards. */
  blocks (): Buffer[]
}

/**
 * @param most bytes that the message may have
 * @param hold called with the number of bytes of memory before they are kept; it throws if they are too many
 */
export function createCollector (most: number, hold: (bytes: number) => void): Collector {
  const full: Buffer[] = []
  let block: Buffer | undefined
  let used = 0
  let length = 0

  /** Blocks grow with the message, so that a short one does not take a long one's memory. */
  function startBlock (): Buffer {
    const size = Math.min(MAX_BLOCK_BYTES, Math.max(MIN_BLOCK_BYTES, length), most - length)
    hold(size)
    return Buffer.allocUnsafeSlow(size)
  }

  return {
    push (piece) {
      if (block === undefined && piece.length >= LARGE_BYTES) {
        hold(piece.length)
        full.push(piece)
        length += piece.length
        return
      }
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
      if (block !== undefined) full.push(block.subarray(0, used))
      block = undefined
      return full
    }
  }
}

/** The piece with memory of its own, as `push` takes it. */
export function alone (piece: Buffer): Buffer {
  return piece.byteLength === piece.buffer.byteLength ? piece : Buffer.from(piece)
}
