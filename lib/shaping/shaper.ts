/**
 * Shapes an event stream (HTML, section 9.2): at each tick one piece leaves, whose length is a multiple of a size. What
 * is missing is filled up with a comment, a line that begins with a colon, which every parser ignores. An empty line is
 * never added, as it would end an event.
 */

export interface Shaper {
  /** Takes what the workload sent. How it is cut does not matter. */
  push (bytes: Uint8Array): void
  /** There will be no more. */
  end (): void
  /** Bytes that wait to leave. */
  readonly held: number
  /** So much leaves in one tick at most: what is more has to wait. */
  readonly most: number
  /**
   * What leaves at this tick: whole lines, filled up; a comment alone if there is no whole line. Undefined if that
   * would be inside of a line, which happens only in lines that are longer than `most`.
   */
  tick (): Buffer | undefined
  /** Everything has left, and nothing follows. */
  readonly isDone: boolean
}

const MOST_BYTES = 64 * 1024
const MIN_CAPACITY = 1024
/** A colon and a line feed. */
const MIN_COMMENT = 2
const [LF, CR, COLON, SPACE] = [0x0a, 0x0d, 0x3a, 0x20]
const NEWLINE = Buffer.of(LF)
const NOTHING = Buffer.alloc(0)
const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/** @param size of the pieces, at least 2 bytes */
export function createShaper (size: number): Shaper {
  const most = Math.ceil(MOST_BYTES / size) * size
  let buffer = Buffer.allocUnsafe(MIN_CAPACITY)
  let held = 0
  let isEnded = false
  let isDone = false
  /** A part of a line has left, and the rest not yet. */
  let inLine = false
  let isFirst = true

  /** Where the last whole line ends, within what may leave; 0 if there is none. */
  function wholeLines (): number {
    for (let end = Math.min(held, most); end > 0; end--) {
      const byte = buffer[end - 1]
      // The line feed that may follow belongs to the same end of a line: nothing can stand between them.
      if (byte === LF || (byte === CR && end < held && buffer[end] !== LF)) return end
    }
    return 0
  }

  function take (length: number): Buffer {
    const taken = Buffer.from(buffer.subarray(0, length))
    buffer.copyWithin(0, length, held)
    held -= length
    return taken
  }

  /** It only counts at the beginning of a stream, where a comment may stand now. */
  function dropMark (): void {
    if (!isFirst || held < BYTE_ORDER_MARK.length) return
    isFirst = false
    if (buffer.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)) take(BYTE_ORDER_MARK.length)
  }

  function filled (content: Buffer): Buffer {
    const over = content.length % size
    let missing = over === 0 && content.length > 0 ? 0 : size - over
    if (missing > 0 && missing < MIN_COMMENT) missing += size
    inLine = false
    return missing === 0 ? content : Buffer.concat([content, comment(missing)])
  }

  function last (): Buffer {
    isDone = true
    const content = take(held)
    const end = content.at(-1)
    const isOpen = end === undefined ? inLine : end !== LF && end !== CR
    return filled(isOpen ? Buffer.concat([content, NEWLINE]) : content)
  }

  return {
    push (bytes) {
      if (held + bytes.length > buffer.length) {
        const larger = Buffer.allocUnsafe(Math.max(held + bytes.length, 2 * buffer.length))
        buffer.copy(larger, 0, 0, held)
        buffer = larger
      }
      buffer.set(bytes, held)
      held += bytes.length
    },
    end () { isEnded = true },
    tick () {
      dropMark()
      if (isEnded && held <= most) return last()
      const lines = wholeLines()
      if (lines > 0) return filled(take(lines))
      if (held >= most) {
        inLine = true
        return take(most)
      }
      return inLine ? undefined : filled(NOTHING)
    },
    get held () { return held },
    most,
    get isDone () { return isDone }
  }
}

function comment (length: number): Buffer {
  const line = Buffer.alloc(length, SPACE)
  line[0] = COLON
  line[length - 1] = LF
  return line
}
