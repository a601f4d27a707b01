/** Reads a file or an answer as a whole, up to a limit. */

/** There is more than was to be read. */
export class TooLongError extends Error {
  override readonly name = 'TooLongError'
  readonly code = 'ERR_TOO_LONG'
}

/**
 * Joins pieces of at most `maxBytes` together. Takes ownership of the pieces: they are overwritten, so that a secret
 * is in the result alone.
 *
 * @throws {TooLongError}
 * @throws what the source fails with
 */
export async function readBounded (source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let length = 0
  try {
    for await (const piece of source) {
      pieces.push(piece)
      length += piece.length
      if (length > maxBytes) throw new TooLongError(`There are more than ${maxBytes} bytes`)
    }
    return Buffer.concat(pieces)
  } finally {
    for (const piece of pieces) piece.fill(0)
  }
}
