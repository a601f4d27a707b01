/** The few operations on streams that this client needs. */
import { concat } from '../../lib/protocols/bytes.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'

/**
 * Reads what a stream gives without waiting for anything: all of it, or, where it goes on or is larger than maxBytes, a
 * stream that begins with what was read.
 */
export async function gather (
  stream: ReadableStream<Uint8Array>, maxBytes: number
): Promise<Bytes | ReadableStream<Uint8Array>> {
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

/** What a stream is read from. */
interface Source {
  /** The next piece; undefined at the end. */
  pull (): Promise<Uint8Array | undefined>
  cancel (reason: unknown): Promise<void>
}

let hasByteStreams: boolean | undefined

/**
 * A stream that readers can have filled into buffers of theirs (`getReader({ mode: 'byob' })`), as they can with what
 * fetch returns. Platforms without byte streams get an ordinary one. Nothing is read before it is asked for.
 */
export function byteStream ({ pull, cancel }: Source): ReadableStream<Bytes> {
  hasByteStreams ??= supportsByteStreams()
  const source = {
    async pull (controller: ReadableByteStreamController | ReadableStreamDefaultController<Bytes>) {
      let piece = await pull()
      // A byte stream takes no empty pieces.
      while (piece?.length === 0) piece = await pull()
      if (piece !== undefined) return controller.enqueue(owned(piece))
      controller.close()
      // A reader that waits with a buffer gets that back.
      if ('byobRequest' in controller) controller.byobRequest?.respond(0)
    },
    cancel
  }
  return hasByteStreams
    ? new ReadableStream({ ...source, type: 'bytes' }) as ReadableStream<Bytes>
    : new ReadableStream<Bytes>(source, { highWaterMark: 0 })
}

/**
 * A byte stream takes away the whole buffer of a piece, which others may have views of. Node's Buffers share theirs.
 */
function owned (piece: Uint8Array): Bytes {
  const alone = piece.byteLength === piece.buffer.byteLength && Object.getPrototypeOf(piece) === Uint8Array.prototype
  return alone ? piece as Bytes : Uint8Array.from(piece)
}

function supportsByteStreams (): boolean {
  try {
    return new ReadableStream({ type: 'bytes' }) instanceof ReadableStream
  } catch {
    // Safari before 26 knows only the default type.
    return false
  }
}

/** The same bytes; `explain` returns what to throw in place of what the stream errors with. */
export function withErrors (
  stream: ReadableStream<Uint8Array>, explain: (error: unknown) => unknown
): ReadableStream<Bytes> {
  const reader = stream.getReader()
  return byteStream({
    async pull () {
      try {
        return (await reader.read()).value
      } catch (error) {
        throw explain(error)
      }
    },
    async cancel (reason) { await reader.cancel(reason) }
  })
}

/**
 * Waits no longer than the signal allows, and begins nothing after; the work itself goes on, since others may wait for
 * it too.
 */
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
