/**
 * Finds token counts in an event stream (HTML, section 9.2) that arrives in pieces, cut anywhere. Each event has its
 * JSON; of each count the last one stands, as streams count up.
 */
import type { Counts } from './counts.ts'
import { createJsonScanner } from './json.ts'
import type { JsonScanner } from './json.ts'

export interface EventScanner {
  push (bytes: Uint8Array): void
  /** What all events together said. An event that the stream breaks off in counts if its JSON is whole. */
  end (): Counts
}

const [LF, CR, COLON, SPACE] = [0x0a, 0x0d, 0x3a, 0x20]
const DATA = Buffer.from('data')
const NEWLINE = Uint8Array.of(LF)
const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/** @param maxEventBytes of the data of one event: what is longer is not looked at any further, until the next event */
export function createEventScanner (maxEventBytes: number): EventScanner {
  const counts: Counts = {}
  let json: JsonScanner | undefined
  let looked = 0
  /** How many bytes of `data` the line begins with; the line is beyond its name if it is more than all. */
  let named = 0
  let line: 'name' | 'space' | 'data' | 'other' = 'name'
  let isEmpty = true
  let afterCr = false
  let marked = 0

  function dispatch (): void {
    Object.assign(counts, json?.end())
    json = undefined
    looked = 0
  }

  function look (bytes: Uint8Array): void {
    looked += bytes.length
    if (looked <= maxEventBytes) json?.push(bytes)
  }

  function startData (): void {
    line = 'space'
    // Lines of data are joined by line feeds.
    if (json === undefined) json = createJsonScanner()
    else look(NEWLINE)
  }

  function endLine (): void {
    if (isEmpty) dispatch()
    line = 'name'
    named = 0
    isEmpty = true
  }

  function inName (byte: number): void {
    if (byte === DATA[named]) named++
    else if (byte === COLON && named === DATA.length) startData()
    else line = 'other'
  }

  /** The end of what can be taken at once: the end of the line, or of what there is. */
  function endOfLine (bytes: Uint8Array, from: number): number {
    let at = from
    while (at < bytes.length && bytes[at] !== LF && bytes[at] !== CR) at++
    return at
  }

  return {
    push (bytes) {
      for (let at = 0; at < bytes.length;) {
        const byte = bytes[at]!
        if (marked < BYTE_ORDER_MARK.length) {
          if (byte === BYTE_ORDER_MARK[marked]) {
            marked++
            at++
            continue
          }
          marked = BYTE_ORDER_MARK.length
        }
        if (byte === LF && afterCr) {
          afterCr = false
          at++
          continue
        }
        afterCr = byte === CR
        if (byte === LF || byte === CR) {
          endLine()
          at++
          continue
        }
        isEmpty = false
        if (line === 'name') {
          inName(byte)
          at++
        } else if (line === 'space' && byte === SPACE) {
          line = 'data'
          at++
        } else {
          const end = endOfLine(bytes, at)
          if (line !== 'other') {
            line = 'data'
            look(bytes.subarray(at, end))
          }
          at = end
        }
      }
    },
    end () {
      dispatch()
      return counts
    }
  }
}
