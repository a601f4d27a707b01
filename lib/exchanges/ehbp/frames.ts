/**
 * Takes the frames off a request body as it arrives: `length(4) ciphertext(length)`, again and again. At most one frame
 * is held, and of that no more than has arrived, whatever its length says.
 */
import { Problem } from '../../http/problems.ts'
import { LENGTH_BYTES } from '../../protocols/ehbp.ts'
import { AEAD_AES_256_GCM, aeadSizes } from '../../protocols/ohttp/suites.ts'
import type { ByteBudget } from '../../streams/budget.ts'
import { createCollector } from '../../streams/collector.ts'

const TAG_BYTES = aeadSizes(AEAD_AES_256_GCM)!.Nt
const NOTHING = Buffer.alloc(0)

export interface Frame {
  /** Tag included. */
  readonly ciphertext: Buffer
  /** Gives what the frame holds back to the budget. */
  release (): void
}

export interface FrameReader {
  /**
   * The next frame; undefined if the body ended behind the one before. One at a time.
   *
   * @throws {Problem} cannot-open, body-too-large, overloaded
   */
  next (): Promise<Frame | undefined>
  /** Nothing more will be read. */
  stop (): void
}

/** @param source is left open, whatever happens */
export function createFrameReader (source: AsyncIterator<Buffer>, budget: ByteBudget, maxBytes: number): FrameReader {
  /** Arrived, and not looked at yet. */
  let rest: Buffer = NOTHING

  async function readLength (): Promise<number | undefined> {
    while (rest.length < LENGTH_BYTES) {
      const { value, done } = await source.next() as IteratorResult<Buffer, undefined>
      if (done === true) {
        if (rest.length === 0) return undefined
        throw new Problem('cannot-open')
      }
      rest = rest.length === 0 ? value : Buffer.concat([rest, value])
    }
    const length = rest.readUInt32BE()
    rest = rest.subarray(LENGTH_BYTES)
    return length
  }

  /** A frame of which a part is still to come. Who sends it slowly gives way when memory is short. */
  async function collect (length: number): Promise<Frame> {
    const account = budget.open()
    try {
      const collector = createCollector(length, bytes => account.hold(bytes))
      collector.push(rest)
      rest = NOTHING
      for await (const piece of account.arriving({ [Symbol.asyncIterator]: () => source })) {
        const missing = length - collector.length
        collector.push(piece.subarray(0, missing))
        rest = piece.subarray(missing)
        if (collector.length === length) break
      }
      if (collector.length < length) throw new Problem('cannot-open')
      const blocks = collector.blocks()
      const [only = NOTHING] = blocks
      return {
        ciphertext: blocks.length === 1 ? only : Buffer.concat(blocks, length), release: () => account.release()
      }
    } catch (error) {
      account.release()
      throw error
    }
  }

  return {
    async next () {
      let length: number | undefined = 0
      while (length === 0) length = await readLength()
      if (length === undefined) return undefined
      if (length < TAG_BYTES) throw new Problem('cannot-open')
      if (length > maxBytes) throw new Problem('body-too-large')
      if (rest.length < length) return collect(length)
      const ciphertext = rest.subarray(0, length)
      rest = rest.subarray(length)
      return { ciphertext, release: () => undefined }
    },
    stop () {
      // Not waited for, as it waits for the body; its reader notices if this fails.
      source.return?.().then(undefined, () => undefined)
    }
  }
}
