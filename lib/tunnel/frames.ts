/**
 * The frames of a WebSocket in one direction (RFC 6455, section 5.2), as they pass: where one ends, a proxy can put one
 * of its own behind it. What is in them is not looked at.
 */

const CLOSE = 0x8
/** A frame is final, with no extension. */
const FINAL = 0x80
const MASKED = 0x80
/** Of a length: the number is in the next two bytes, or the next eight. */
const IN_TWO = 126
const IN_EIGHT = 127
const MAX_HEADER_BYTES = 14

export interface Frames {
  /** Takes note of a piece that passes. */
  follow (piece: Uint8Array): void
  /** Takes note of a piece up to the end of the frame under way; returns where that is, or undefined if beyond it. */
  endIn (piece: Uint8Array): number | undefined
  /** No frame is under way. */
  readonly areWhole: boolean
  /** A close frame has passed: there are no frames behind it. */
  readonly areOver: boolean
}

export function followFrames (): Frames {
  const header = new Uint8Array(MAX_HEADER_BYTES)
  let has = 0
  let payload = 0
  let isOver = false

  /** Goes on from `at` to the end of a frame, or of the piece. */
  function advance (piece: Uint8Array, at: number): number {
    while (at < piece.length) {
      if (payload > 0) {
        const part = Math.min(payload, piece.length - at)
        payload -= part
        return at + part
      }
      header[has++] = piece[at++]!
      if (has < 2 || has < headerLength(header)) continue
      has = 0
      payload = payloadLength(header)
      if ((header[0]! & 0xf) === CLOSE) isOver = true
      if (payload === 0) return at
    }
    return at
  }

  const areWhole = () => has === 0 && payload === 0
  return {
    follow (piece) { for (let at = 0; at < piece.length;) at = advance(piece, at) },
    endIn (piece) {
      for (let at = 0; at < piece.length;) {
        at = advance(piece, at)
        if (areWhole()) return at
      }
      return undefined
    },
    get areWhole () { return areWhole() },
    get areOver () { return isOver }
  }
}

function headerLength (header: Uint8Array): number {
  const length = header[1]! & ~MASKED
  return 2 + (length === IN_EIGHT ? 8 : length === IN_TWO ? 2 : 0) + ((header[1]! & MASKED) === 0 ? 0 : 4)
}

function payloadLength (header: Uint8Array): number {
  const length = header[1]! & ~MASKED
  const view = new DataView(header.buffer)
  if (length === IN_TWO) return view.getUint16(2)
  return length === IN_EIGHT ? view.getUint32(2) * 2 ** 32 + view.getUint32(6) : length
}

/** A close frame as a server sends it (section 5.5.1). */
export function closeFrame (code: number): Buffer {
  return Buffer.from([FINAL | CLOSE, 2, code >> 8, code & 0xff])
}
