/** The few operations on streams that this client needs. */
import { concat } from '../../lib/protocols/bytes.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'

/**
 * All octets of a stream.
 *
 * @param maxBytes with more, the stream is cancelled and undefined is returned
 */
export async function collect (stream: ReadableStream<Uint8Array>, maxBytes = Infinity): Promise<Bytes | undefined> {
  const reader = stream.getReader()
  const pieces: Uint8Array[] = []
  let length = 0
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    length += read.value.length
    if (length > maxBytes) {
      await reader.cancel()
      return undefined
    }
    pieces.push(read.value)
  }
  return concat(...pieces)
}

/**
 * Reads what a stream gives without waiting for anything: all of it, or, where it goes on or is larger than maxBytes, a
 * stream that begins with what was read.
 */
export async function gather (stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Bytes | ReadableStream<Uint8Array>> {
  const reader = stream.getReader()
  // A task of its own comes after everything that is under way without waiting.
  const later = new Promise<undefined>(resolve => { setTimeout(resolve, 0, undefined) })
  const pieces: Uint8Array[] = []
  let length = 0
  let pending: ReturnType<typeof reader.read> | undefined
  while (length <= maxBytes) {
    pending = reader.read()
    const read = await Promise.race([pending, later])
    if (read === undefined) break
    pending = undefined
    if (read.done) return concat(...pieces)
    pieces.push(read.value)
    length += read.value.length
  }
  return new ReadableStream<Uint8Array>({
    async pull (controller) {
      const piece = pieces.shift()
      if (piece !== undefined) return controller.enqueue(piece)
      const { done, value } = await (pending ?? reader.read())
      pending = undefined
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel (reason) { await reader.cancel(reason) }
  }, { highWaterMark: 0 })
}

/** The same octets; `explain` says what to throw instead of what the stream errors with. */
export function withErrors (stream: ReadableStream<Bytes>, explain: (error: unknown) => unknown): ReadableStream<Bytes> {
  const reader = stream.getReader()
  return new ReadableStream<Bytes>({
    async pull (controller) {
      try {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      } catch (error) {
        throw explain(error)
      }
    },
    async cancel (reason) { await reader.cancel(reason) }
  }, { highWaterMark: 0 })
}

/** Waits no longer than the signal allows, and begins nothing after; the work itself goes on, since others may wait for it too. */
export async function abortable<T> (work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work(), aborted])
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}
