/**
 * Opens a v1 body as it arrives: each piece is decrypted at once, so no call blocks for long and only the plaintext is
 * held. It is handed on only after the tag, which covers all of it, was verified.
 */
import { createDecipheriv, createSecretKey } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ByteBudget } from '../../streams/budget.ts'
import { Problem } from '../../http/problems.ts'
import { LENGTH_BYTES, MAX_HEADER_BYTES, MessageError, parseHeaderLength } from '../../protocols/polaris-v1.ts'
import { announcedLength } from '../../http/incoming.ts'
import type { IncomingRequest } from '../../http/incoming.ts'

/** The AES key and IV of one message, unwrapped. */
export interface MessageSecrets { readonly key: Uint8Array, readonly iv: Uint8Array }
export type UnwrapSecrets = (header: Uint8Array) => Promise<{ secrets: MessageSecrets, authTag: Uint8Array }>

export interface OpenedBody {
  readonly body: Buffer | Readable
  readonly length: number
  /** Gives the memory back to the budget. */
  release (): void
}

/** Joining more than this at once would hold up the event loop. */
const JOIN_BYTES = 2 ** 20

/**
 * @throws {MessageError} it cannot be opened
 * @throws {Problem} body-too-large, overloaded
 */
export async function openBody (request: IncomingRequest, unwrap: UnwrapSecrets, budget: ByteBudget, maxBytes: number): Promise<OpenedBody> {
  const announced = announcedLength(request)
  if (announced !== undefined && announced > LENGTH_BYTES + MAX_HEADER_BYTES + maxBytes) throw new Problem('body-too-large')

  let held = 0
  const release = () => {
    budget.give(held)
    held = 0
  }
  try {
    const pieces = request.payload[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    const { header, rest } = await readHeader(pieces)
    const { secrets, authTag } = await unwrap(header)
    const decipher = createDecipheriv('aes-256-gcm', createSecretKey(secrets.key), secrets.iv, { authTagLength: authTag.length }).setAuthTag(authTag)
    const plaintext: Buffer[] = []
    for (let piece: Buffer | undefined = rest; piece !== undefined; piece = await next(pieces)) {
      if (held + piece.length > maxBytes) throw new Problem('body-too-large')
      if (!budget.take(piece.length)) throw new Problem('overloaded')
      held += piece.length
      if (piece.length > 0) plaintext.push(decipher.update(piece))
    }
    verify(() => decipher.final())
    const body = held <= JOIN_BYTES ? Buffer.concat(plaintext) : Readable.from(plaintext, { objectMode: false })
    return { body, length: held, release }
  } catch (error) {
    release()
    throw error
  }
}

/** Reads up to the end of the header; `rest` is what came behind it in the same piece. */
async function readHeader (pieces: AsyncIterator<Buffer>): Promise<{ header: Buffer, rest: Buffer }> {
  let head: Buffer = Buffer.alloc(0)
  let end = LENGTH_BYTES
  let lengthKnown = false
  while (true) {
    if (!lengthKnown && head.length >= LENGTH_BYTES) {
      end = LENGTH_BYTES + parseHeaderLength(head)
      lengthKnown = true
    }
    if (lengthKnown && head.length >= end) return { header: head.subarray(LENGTH_BYTES, end), rest: head.subarray(end) }
    const piece = await next(pieces)
    if (piece === undefined) throw new MessageError()
    head = head.length === 0 ? piece : Buffer.concat([head, piece])
  }
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
