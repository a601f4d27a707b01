/** Where HTTP/1.1 messages end that come one after the other, with as little work as it takes: peers are our own. */

const HEAD_END = Buffer.from('\r\n\r\n')
/**
 * What a body in chunks ends with; ciphertext that looks so at the end of a read, 2 to the power of -56, is not
 * expected.
 */
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n')

export interface MessageEnd {
  /** The head, terminator included, where it begins here: a head comes in one read. */
  push (octets: Buffer): Buffer | undefined
  /** The header that frames the body. */
  readonly framing: string
  /** All of the message is there. The next push begins another. */
  readonly ended: boolean
}

export function createMessageEnd (): MessageEnd {
  let length: number | undefined
  let left = 0
  let tail: Buffer = HEAD_END.subarray(2)
  let ended = true

  function count (body: Buffer): void {
    if (length !== undefined) {
      left -= body.length
      ended = left === 0
      return
    }
    tail = Buffer.concat([tail, body.subarray(-LAST_CHUNK.length)]).subarray(-LAST_CHUNK.length)
    ended = tail.equals(LAST_CHUNK)
  }

  return {
    push (octets) {
      if (!ended) {
        count(octets)
        return undefined
      }
      const end = octets.indexOf(HEAD_END)
      if (end === -1) throw new Error('The head is in more than one read')
      const head = octets.subarray(0, end + HEAD_END.length)
      const text = head.toString('latin1').toLowerCase()
      length = text.includes('\r\ntransfer-encoding: chunked\r\n')
        ? undefined
        : Number(/\r\ncontent-length: (\d+)\r\n/.exec(text)?.[1] ?? 0)
      left = length ?? 0
      tail = HEAD_END.subarray(2)
      ended = false
      count(octets.subarray(head.length))
      return head
    },
    get framing () { return length === undefined ? 'transfer-encoding: chunked' : `content-length: ${length}` },
    get ended () { return ended }
  }
}
