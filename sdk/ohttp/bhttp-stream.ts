/** Binary HTTP over web streams, as a client uses it: a request with a body that streams, a response that streams. */
import { createResponseReader } from '../../lib/protocols/bhttp/reader.ts'
import type { BhttpResponseEvent } from '../../lib/protocols/bhttp/events.ts'
import { contentChunkPrefix, encodeEnd, encodeRequestHead } from '../../lib/protocols/bhttp/writer.ts'
import { BhttpError } from '../../lib/protocols/bhttp/bhttp.ts'
import type { BhttpLimits, Field, RequestHead, ResponseHead } from '../../lib/protocols/bhttp/bhttp.ts'
import { concat } from '../../lib/protocols/bytes.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'
import { MAX_CHUNK } from '../../lib/protocols/ohttp/chunks.ts'
import { createTransform } from './streams.ts'
import type { Transform } from './streams.ts'

/** With its prefix of two octets, such a piece of content fills a chunk of Chunked OHTTP. */
const CONTENT_PIECE = MAX_CHUNK - 2

/** The content is not of the length that was announced. */
export class ContentLengthError extends RangeError {
  override readonly name = 'ContentLengthError'
}

/**
 * Content in, a request out: of known length where that is given, otherwise of indeterminate length. Errors with a
 * ContentLengthError if the content has another length.
 *
 * @throws {BhttpError} the head is not valid
 */
export function requestStream (head: RequestHead, contentLength?: number): Transform {
  const start = encodeRequestHead(head, contentLength)
  return contentLength === undefined ? indeterminate(start) : known(start, contentLength)
}

function known (start: Bytes, contentLength: number): Transform {
  return createTransform(async function * (source) {
    yield start
    let left = contentLength
    for await (const content of source) {
      left -= content.length
      if (left < 0) throw new ContentLengthError(`it is longer than its content-length, ${contentLength}`)
      yield Uint8Array.from(content)
    }
    if (left > 0) throw new ContentLengthError(`it is shorter than its content-length, ${contentLength}, by ${left}`)
  })
}

function indeterminate (start: Bytes): Transform {
  return createTransform(async function * (source) {
    yield start
    for await (const content of source) {
      for (let offset = 0; offset < content.length; offset += CONTENT_PIECE) {
        const piece = content.subarray(offset, offset + CONTENT_PIECE)
        yield concat(contentChunkPrefix(piece.length), piece)
      }
    }
    yield encodeEnd()
  })
}

export interface ResponseMessage {
  readonly informational: readonly ResponseHead[]
  readonly head: ResponseHead
  /** Errors with a BhttpError, or with the error of the stream it is read from; ends only where that one ended. */
  readonly body: ReadableStream<Bytes>
  /** Complete once the body has ended. */
  readonly trailers: readonly Field[]
}

/**
 * Reads a response: resolves when its head is there. The rest is read from the stream as the body is read.
 *
 * @throws {BhttpError} or what the stream errors with
 */
export async function readResponse (
  stream: ReadableStream<Uint8Array>, limits?: BhttpLimits
): Promise<ResponseMessage> {
  const source = stream.getReader()
  const reader = createResponseReader(limits)
  const informational: ResponseHead[] = []
  const trailers: Field[] = []
  let ended = false

  /** What the next octets bring; the last time, what their end brings. */
  async function next (): Promise<BhttpResponseEvent[]> {
    const { value, done } = await source.read()
    ended = done
    return done ? reader.end() : reader.push(value)
  }

  /** The content among the events, copied out of the buffers it came in. */
  function contentOf (events: readonly BhttpResponseEvent[]): Bytes[] {
    const content: Bytes[] = []
    for (const event of events) {
      if (event.type === 'content') content.push(Uint8Array.from(event.bytes))
      else if (event.type === 'trailers') trailers.push(...event.fields)
    }
    return content
  }

  async function start (): Promise<{ head: ResponseHead, early: Bytes[] }> {
    while (!ended) {
      const events = await next()
      for (const [i, event] of events.entries()) {
        if (event.type === 'informational') informational.push(event.head)
        else if (event.type === 'response') return { head: event.head, early: contentOf(events.slice(i + 1)) }
      }
    }
    // Out of reach: a reader that ends without an error has given a head.
    throw new BhttpError('ERR_BHTTP_TRUNCATED', 'The message ends too early')
  }

  try {
    const { head, early } = await start()
    const body = new ReadableStream<Bytes>({
      start (controller) {
        for (const bytes of early) controller.enqueue(bytes)
        if (ended) controller.close()
      },
      async pull (controller) {
        try {
          // Until there is something to give: a pull that gives nothing is not repeated.
          for (let content: Bytes[] = []; content.length === 0 && !ended;) {
            content = contentOf(await next())
            for (const bytes of content) controller.enqueue(bytes)
          }
          if (ended) controller.close()
        } catch (error) {
          await source.cancel(error)
          throw error
        }
      },
      async cancel (reason) { await source.cancel(reason) }
    }, { highWaterMark: 0 })
    return { informational, head, body, trailers }
  } catch (error) {
    await source.cancel(error)
    throw error
  }
}
