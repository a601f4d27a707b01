/**
 * What incremental parsers read from: octets arrive in pieces of any size and leave in the sizes a format asks for.
 * Every octet is copied at most a few times, however the input is split, so parsing stays linear.
 */
import { EMPTY } from './bytes.ts'
import { decodeVarint, varintLengthFrom } from './varint.ts'

export class ByteQueue {
  /** Kept from earlier pieces, from #start to #end; its room grows by doubling. */
  #kept: Uint8Array = EMPTY
  #start = 0
  #end = 0
  /** The newest piece, from #offset on. */
  #piece: Uint8Array = EMPTY
  #offset = 0
  #copied = 0

  /** Octets waiting. */
  get length (): number {
    return this.#end - this.#start + this.#piece.length - this.#offset
  }

  /** Octets copied so far: what the claim of linearity is tested by. */
  get copied (): number {
    return this.#copied
  }

  /** Adds a piece. It is referred to, not copied, until `settle`. */
  push (piece: Uint8Array): void {
    this.settle()
    this.#piece = piece
    this.#offset = 0
  }

  /**
   * Copies what is left of the newest piece: called when parsing has to wait, so that the caller may reuse its buffer.
   */
  settle (): void {
    this.#keep(this.#piece.length - this.#offset)
    this.#piece = EMPTY
    this.#offset = 0
  }

  /**
   * The next n octets in one array, or undefined while fewer are waiting. The array is a view: read it or copy it at
   * once.
   */
  take (n: number): Uint8Array | undefined {
    if (this.length < n) return undefined
    if (this.#start === this.#end) {
      this.#offset += n
      return this.#piece.subarray(this.#offset - n, this.#offset)
    }
    const missing = n - (this.#end - this.#start)
    // The array goes to the caller whole: no room for more is needed.
    if (missing > 0) this.#keep(missing, n)
    this.#start += n
    const taken = this.#kept.subarray(this.#start - n, this.#start)
    if (this.#start === this.#end) {
      // The view above now owns this buffer.
      this.#kept = EMPTY
      this.#start = this.#end = 0
    }
    return taken
  }

  /** Up to max of the octets that are waiting, without copying; undefined when there are none. */
  takeSome (max: number): Uint8Array | undefined {
    const contiguous = this.#start < this.#end ? this.#end - this.#start : this.#piece.length - this.#offset
    const n = Math.min(max, contiguous)
    return n === 0 ? undefined : this.take(n)
  }

  /** The next variable-length integer, or undefined while it is incomplete. */
  takeVarint (): number | undefined {
    const first = this.#start < this.#end ? this.#kept[this.#start] : this.#piece[this.#offset]
    if (first === undefined) return undefined
    const bytes = this.take(varintLengthFrom(first))
    return bytes && decodeVarint(bytes)
  }

  /** Moves the next n octets of the newest piece behind the kept ones, where there must be room for so many. */
  #keep (n: number, room = Math.max(64, 2 * (this.#end - this.#start + n))): void {
    if (n === 0) return
    const length = this.#end - this.#start
    if (this.#end + n > this.#kept.length) {
      const grown = new Uint8Array(room)
      grown.set(this.#kept.subarray(this.#start, this.#end))
      this.#copied += length
      this.#kept = grown
      this.#start = 0
      this.#end = length
    }
    this.#kept.set(this.#piece.subarray(this.#offset, this.#offset + n), this.#end)
    this.#copied += n
    this.#end += n
    this.#offset += n
  }
}
