/**
 * A stream that is made of another, piece by piece: what Node's Transform does, with half of its machinery, which costs
 * as much as opening or sealing what passes through (docs/performance.md).
 */
import { finished } from 'node:stream'
import type { Readable } from 'node:stream'
import { OwnedStream } from './owned.ts'
import type { Owned } from './owned.ts'

/**
 * A read of the network is 64 KiB, as is Node's default: one read fills such a stream, which then waits for the next in
 * line. With room for two, they work at the same time. In bytes.
 */
export const HIGH_WATER_MARK = 128 * 1024

/**
 * Small pieces that one read has brought, such as the events of a stream, are converted together: to seal two costs
 * twice as much as to seal one. So many bytes wait for no others.
 */
const JOIN_BYTES = 4 * 1024

export interface Conversion {
  /**
   * What comes of a piece, or of small ones that came together, possibly nothing. No other piece is asked for until
   * that is known.
   */
  readonly convert: (piece: Buffer) => Owned | undefined | Promise<Owned | undefined>
  /** What follows once the source has ended, possibly nothing. */
  readonly end: () => Owned | undefined
  /** Nothing is read from the source any more: it has ended, failed, or the rest is not wanted. It is paused. */
  readonly close?: () => void
}

/**
 * Ends where the source does. Errors where it does, where it is closed before its end, and with what the conversion
 * throws. Its pieces belong to its reader; those of the source are left alone. Reads no further ahead than its
 * high-water mark. The source is never closed by this: that is for `close` to do.
 */
export function convertStream (source: Readable, { convert, end, close }: Conversion): OwnedStream {
  let converting: Promise<void> | undefined
  let waiting: Buffer[] = []
  let waitingBytes = 0
  const result = new OwnedStream({
    highWaterMark: HIGH_WATER_MARK,
    read () {
      if (converting === undefined) source.resume()
    },
    destroy (error, done) {
      source.off('data', take).off('end', last).pause()
      close?.()
      done(error)
    }
  })

  /** What one read of the network brings comes in one turn; an end or an error of the source comes after it. */
  function take (piece: Buffer): void {
    waiting.push(piece)
    waitingBytes += piece.length
    if (waitingBytes >= JOIN_BYTES) convertWaiting()
    else if (waiting.length === 1) process.nextTick(convertWaiting)
  }

  function convertWaiting (): void {
    if (waiting.length === 0 || result.destroyed) return
    const piece = waiting.length === 1 ? waiting[0] as Buffer : Buffer.concat(waiting, waitingBytes)
    waiting = []
    waitingBytes = 0
    try {
      const converted = convert(piece)
      if (!(converted instanceof Promise)) return give(converted)
      source.pause()
      converting = converted.then(bytes => {
        converting = undefined
        if (result.destroyed) return
        source.resume()
        give(bytes)
      }).catch(fail)
    } catch (error) {
      fail(error)
    }
  }

  function give (bytes: Owned | undefined): void {
    if (bytes !== undefined && bytes.length > 0 && !result.give(bytes)) source.pause()
  }

  /** A source may have ended while its last piece is being converted. */
  async function last (): Promise<void> {
    convertWaiting()
    await converting
    if (result.destroyed) return
    try {
      give(end())
      result.push(null)
    } catch (error) {
      fail(error)
    }
  }

  function fail (error: unknown): void {
    result.destroy(error as Error)
  }

  // It may fail before anyone reads from it, such as while a replay store is asked: a reader that comes later finds
  // that in the stream, and an event without a listener would end the process.
  result.on('error', () => undefined)
  // Stays until the source is closed: what comes after `result` was destroyed is no longer an error.
  finished(source, { writable: false }, error => { if (error) fail(error) })
  source.on('data', take).on('end', last)
  return result
}
