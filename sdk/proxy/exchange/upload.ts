/**
 * The body of a request, read no faster than it is sent on. Small ones are kept, so that they can be encrypted again.
 */
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { concat } from '../../../lib/protocols/bytes.ts'
import type { RequestBody } from '../../fetch/request/body.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'

/** Up to this length, a body outlives a change of the proxy's keys. */
const MAX_KEPT = 1024 * 1024
/** Up to this length it is sent as one message, if it is all there in a moment. That costs less than a stream. */
const MAX_WHOLE = 64 * 1024
const WHOLE_WITHIN_MS = 5

export interface Upload {
  readonly body: RequestBody | undefined
  /** Bytes read so far. */
  received (): number
  /** Lets go of what was not read, so that the connection can be used again. */
  drain (): void
}

/** @param proceed called before the first byte is read: a client that waits for 100 Continue is told to go on */
export async function openUpload (request: IncomingMessage, proceed: (() => void) | undefined): Promise<Upload> {
  const length = request.headers['content-length'] === undefined ? undefined : Number(request.headers['content-length'])
  const chunked = request.headers['transfer-encoding'] !== undefined
  let received = 0
  let draining = false
  const kept: Bytes[] = []
  const keep = length !== undefined && length <= MAX_KEPT
  const wake = createBell(request)
  let reading: Promise<Bytes | undefined> | undefined

  async function read (): Promise<Bytes | undefined> {
    proceed?.()
    proceed = undefined
    for (;;) {
      const piece = request.read() as Buffer<ArrayBuffer> | null
      if (piece !== null) {
        received += piece.length
        return piece
      }
      if (request.readableEnded) return undefined
      if (request.destroyed) throw new Error('The client broke off')
      await wake()
    }
  }

  /** The piece with this index, if pieces are kept; otherwise the next one. */
  async function pieceAt (index: number): Promise<Bytes | undefined> {
    while (index >= kept.length) {
      reading ??= readNext()
      const piece = await reading
      if (piece === undefined || !keep) return piece
    }
    return kept[index]
  }

  async function readNext (): Promise<Bytes | undefined> {
    try {
      const piece = await read()
      if (piece !== undefined && keep) kept.push(piece)
      return piece
    } finally {
      reading = undefined
    }
  }

  async function whole (): Promise<Bytes> {
    for (let index = 0; await pieceAt(index) !== undefined;) index++
    return concat(...kept)
  }

  function open (signal: AbortSignal): ReadableStream<Uint8Array> {
    let index = 0
    let stop: (() => void) | undefined
    return new ReadableStream<Uint8Array>({
      start (controller) {
        stop = () => controller.error(signal.reason)
        signal.addEventListener('abort', stop, { once: true })
      },
      async pull (controller) {
        const piece = await pieceAt(index++)
        if (signal.aborted) return
        if (piece !== undefined) return controller.enqueue(piece)
        if (stop !== undefined) signal.removeEventListener('abort', stop)
        controller.close()
      }
    }, { highWaterMark: 0 })
  }

  async function body (): Promise<RequestBody | undefined> {
    if (!chunked && length === undefined) return undefined
    if (length === 0) return { bytes: new Uint8Array(0) }
    if (length !== undefined && length <= MAX_WHOLE && proceed === undefined) {
      const bytes = await Promise.race([whole(), sleep(WHOLE_WITHIN_MS)])
      if (bytes !== undefined) return { bytes }
    }
    return { length, replayable: keep, open }
  }

  return {
    body: await body(),
    received: () => received,
    drain () {
      if (draining || request.readableEnded) return
      draining = true
      request.removeAllListeners('readable').resume()
    }
  }
}

/** Resolves at the next thing that happens to the stream. */
function createBell (request: IncomingMessage): () => Promise<void> {
  let ring: (() => void) | undefined
  for (const event of ['readable', 'end', 'error', 'close']) {
    request.on(event, () => {
      ring?.()
      ring = undefined
    })
  }
  return () => new Promise(resolve => { ring = resolve })
}
