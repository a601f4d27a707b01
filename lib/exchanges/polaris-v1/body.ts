/**
 * Opens a v1 body as it arrives: each piece is decrypted at once, so no call blocks for long and only the plaintext is
 * held. It is handed on only after the tag, which covers all of it, was verified.
 */
import { createDecipheriv, createSecretKey } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ByteBudget } from '../../streams/budget.ts'
import { createCollector } from '../../streams/collector.ts'
import { Problem } from '../../http/problems.ts'
import { LENGTH_BYTES, MAX_HEADER_BYTES, MessageError, parseHeaderLength } from '../../protocols/polaris-v1.ts'
import { ByteQueue } from '../../protocols/byte-queue.ts'
import { EMPTY } from '../../protocols/bytes.ts'
import { announcedLength } from '../../http/incoming.ts'
import type { IncomingRequest } from '../../http/incoming.ts'
import type { UnwrapSecrets } from './secrets.ts'

export interface OpenedBody {
  readonly body: Buffer | Readable
  readonly length: number
  /** Gives the memory back to the budget. */
  release (): void
}

/** Joining more than this at once would hold up the event loop. */
const JOIN_BYTES = 2 ** 20

/**
 * Undefined if there is no message: chunked, but empty.
 *
 * @throws {MessageError} it cannot be opened
 * @throws {Problem} body-too-large, overloaded
 */
export async function openBody (
  request: IncomingRequest, unwrap: UnwrapSecrets, budget: ByteBudget, maxBytes: number
): Promise<OpenedBody | undefined> {
  const announced = announcedLength(request)
  if (announced !== undefined && announced > LENGTH_BYTES + MAX_HEADER_BYTES + maxBytes) {
    throw new Problem('body-too-large')
  }

  const account = budget.open()
  try {
    const pieces = account.arriving(request.payload)
    const first = await next(pieces)
    if (first === undefined) return undefined
    const { header, rest } = await readHeader(first, pieces)
    const { secrets, authTag } = await unwrap(header)
    const decipher = createDecipheriv(
      'aes-256-gcm', createSecretKey(secrets.key), secrets.iv, { authTagLength: authTag.length }
    ).setAuthTag(authTag)
    const plaintext = createCollector(maxBytes, bytes => account.hold(bytes))
    for (let piece: Buffer | undefined = rest; piece !== undefined; piece = await next(pieces)) {
      if (plaintext.length + piece.length > maxBytes) throw new Problem('body-too-large')
      if (piece.length > 0) plaintext.push(decipher.update(piece))
    }
    verify(() => decipher.final())
    const { length } = plaintext
    const blocks = plaintext.blocks()
    const body = length <= JOIN_BYTES ? Buffer.concat(blocks) : Readable.from(blocks, { objectMode: false })
    return { body, length, release: () => account.release() }
  } catch (error) {
    account.release()
    throw error
  }
}

/** Reads up to the end of the header; `rest` is what came behind it in the same piece. */
async function readHeader (first: Buffer, pieces: AsyncIterator<Buffer>): Promise<{ header: Buffer, rest: Buffer }> {
  const queue = new ByteQueue()
  queue.push(first)
  const prefix = await take(pieces, queue, LENGTH_BYTES)
  const header = await take(pieces, queue, parseHeaderLength(prefix))
  return { header, rest: asBuffer(queue.take(queue.length) ?? EMPTY) }
}

async function take (pieces: AsyncIterator<Buffer>, queue: ByteQueue, length: number): Promise<Buffer> {
  for (;;) {
    const bytes = queue.take(length)
    if (bytes !== undefined) return Buffer.from(bytes)
    const piece = await next(pieces)
    if (piece === undefined) throw new MessageError()
    queue.push(piece)
  }
}

function asBuffer ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

async function next (pieces: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  const { done, value } = await pieces.next()
  return done === true ? undefined : value
}

function verify (final: () => void): void {
  try {
    final()
  } catch (cause) {
    throw new MessageError({ cause })
  }
}
