/** Web stream transforms that are written as generators, and work no faster than they are read. */
import type { Bytes } from '../../lib/protocols/bytes.ts'

/** What `pipeThrough` takes. */
export interface Transform {
  readonly readable: ReadableStream<Bytes>
  readonly writable: WritableStream<Uint8Array>
}

/**
 * A transform that makes one piece for each read. A TransformStream would have to make everything that a written piece
 * gives at once, and hold it, however large that piece was.
 *
 * What the generator throws, the readable side errors with, and the writable side too.
 */
export function createTransform (
  steps: (source: AsyncGenerator<Uint8Array, void, void>) => AsyncGenerator<Bytes, void, void>
): Transform {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const reader = readable.getReader()
  const pieces = steps(readAll(reader))
  return {
    writable,
    readable: new ReadableStream<Bytes>({
      async pull (controller) {
        try {
          const { value, done } = await pieces.next()
          if (done === true) controller.close()
          else controller.enqueue(value)
        } catch (error) {
          await reader.cancel(error)
          throw error
        }
      },
      async cancel (reason) { await reader.cancel(reason) }
    }, { highWaterMark: 0 })
  }
}

async function * readAll (reader: ReadableStreamDefaultReader<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    yield value
  }
}
