/** Keeps the cost of holding a message near its size: one that comes octet by octet would take a hundred times that. */

const BLOCK_BYTES = 64 * 1024
/** Smaller pieces are joined. */
const SMALL_BYTES = 4 * 1024

/** The same octets, in pieces worth holding. The source stays open, whatever happens: it belongs to someone else. */
export async function * inBlocks (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  const pieces = source[Symbol.asyncIterator]()
  let block: Buffer | undefined
  let used = 0
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
    const piece = next.value
    if (block === undefined && piece.length >= SMALL_BYTES) {
      yield piece
      continue
    }
    for (let at = 0; at < piece.length;) {
      block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES)
      const copied = piece.copy(block, used, at)
      at += copied
      used += copied
      if (used < BLOCK_BYTES) continue
      yield block
      block = undefined
      used = 0
    }
  }
  if (block !== undefined) yield block.subarray(0, used)
}
