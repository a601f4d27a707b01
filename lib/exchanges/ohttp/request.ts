/**
 * Opens OHTTP requests, RFC 9458 and chunked (draft-ietf-ohai-chunked-ohttp-08). The private keys are elsewhere: this
 * only asks for shared secrets. No function here returns plaintext before its tag was checked.
 */
import type { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createRecipientFactory } from '../../hpke/recipient.ts'
import type { Recipient, RecipientFactory } from '../../hpke/recipient.ts'
import { ByteQueue } from '../../protocols/byte-queue.ts'
import { EMPTY } from '../../protocols/bytes.ts'
import { Deframer, Nt, chunkAad } from '../../protocols/ohttp/chunks.ts'
import {
  CHUNKED_LABELS, HEADER_LENGTH, LABELS, OhttpError, decodeHeader, requestInfo
} from '../../protocols/ohttp/ohttp.ts'
import type { Labels, RequestHeader } from '../../protocols/ohttp/ohttp.ts'
import { allocate, free } from '../../streams/owned.ts'
import type { Owned } from '../../streams/owned.ts'
import { createChunkSealer, sealResponse } from './response.ts'
import type { ChunkSealer } from './response.ts'

/** So many chunks are opened without a break: they may be cut as small as a byte, and each takes some µs. */
const CHUNKS_AT_ONCE = 64

/**
 * The KEM's shared secret for enc, under the key and the algorithms that the header names.
 *
 * It throws OhttpError ERR_OHTTP_KEY if the key is unknown, is of another KEM, or does not offer the algorithms;
 * anything else it throws counts as a message that cannot be opened.
 */
export type Decapsulate = (header: RequestHeader, enc: Uint8Array) => Uint8Array | Promise<Uint8Array>

interface Opened {
  readonly header: RequestHeader
  /** Unique to the request: together with the key id, what replays are recognised by (RFC 9458, section 6.5). */
  readonly enc: Uint8Array
}

export interface OpenedRequest extends Opened {
  /** Binary HTTP. */
  readonly request: Owned
  /**
   * Seals a whole Binary HTTP response, once: the parts of a message/ohttp-res, to be sent in order. The nonce is for
   * tests and vectors.
   */
  sealResponse (response: Uint8Array, responseNonce?: Uint8Array): Promise<Owned[]>
}

/** Opens a whole message/ohttp-req. @throws {OhttpError} ERR_OHTTP_KEY or ERR_OHTTP_OPEN */
export async function openRequest (message: Uint8Array, decapsulate: Decapsulate): Promise<OpenedRequest> {
  const { header, enc, recipient, rest } = await splitStart(message, LABELS, decapsulate)
  return {
    header,
    enc,
    request: await openWhole(recipient, rest),
    sealResponse: (response, responseNonce) => sealResponse({ recipient, header, enc }, response, responseNonce)
  }
}

/** Opens the chunks of a request, one call after the other. */
export interface ChunkOpener {
  /**
   * Binary HTTP: what is in the chunks that these bytes complete, joined; empty if they complete none. At once, unless
   * the chunks are many.
   *
   * @throws {OhttpError} ERR_OHTTP_OPEN
   */
  open (bytes: Uint8Array): Owned | Promise<Owned>
  /**
   * What is in the final chunk, possibly nothing, once there are no more bytes: the client said under the key that
   * nothing follows.
   *
   * @throws {OhttpError} ERR_OHTTP_OPEN or ERR_OHTTP_INCOMPLETE
   */
  end (): Owned
}

interface Chunked extends Opened {
  /** To be made once per request. The nonce is for tests and vectors. */
  createResponseSealer (responseNonce?: Uint8Array): ChunkSealer
}

export interface OpenedChunkedRequest extends Chunked {
  /** What was read with the encapsulated key: to be opened first. All else is still in the source. */
  readonly rest: Uint8Array
  readonly opener: ChunkOpener
}

export interface OpenedChunks extends Chunked {
  /** Binary HTTP, a piece for each chunk. */
  readonly pieces: readonly Owned[]
}

/**
 * Opens a message/ohttp-chunked-req that is there as a whole, and authentic when this resolves.
 *
 * @throws {OhttpError} ERR_OHTTP_KEY, ERR_OHTTP_OPEN or ERR_OHTTP_INCOMPLETE
 */
export async function openChunks (message: Uint8Array, decapsulate: Decapsulate): Promise<OpenedChunks> {
  const { header, enc, recipient, rest } = await splitStart(message, CHUNKED_LABELS, decapsulate)
  const deframer = new Deframer()
  const chunks = deframer.push(rest)
  chunks.push(deframer.end())
  const pieces: Owned[] = []
  for (const { ciphertext, final } of chunks) {
    if (pieces.push(openPiece(recipient, ciphertext, chunkAad(final))) % CHUNKS_AT_ONCE === 0) await setImmediate()
  }
  return { ...chunked(recipient, header, enc), pieces }
}

/**
 * Opens a message/ohttp-chunked-req as it arrives: resolves as soon as the encapsulated key is there and decapsulated,
 * which proves nothing yet; the first chunk that opens does.
 *
 * The source stays the caller's: it is not closed, whatever happens, since closing a server's request would also cut
 * off the response that says what was wrong with it.
 *
 * @throws {OhttpError} ERR_OHTTP_KEY or ERR_OHTTP_OPEN, or what the source throws
 */
export async function openChunkedRequest (source: Readable, decapsulate: Decapsulate): Promise<OpenedChunkedRequest> {
  const iterator = source.iterator({ destroyOnReturn: false })
  try {
    const { header, enc, recipient, rest } = await readStart(iterator, CHUNKED_LABELS, decapsulate)
    return { ...chunked(recipient, header, enc), rest, opener: createChunkOpener(recipient) }
  } finally {
    await iterator.return?.()
  }
}

function chunked (recipient: Recipient, header: RequestHeader, enc: Uint8Array): Chunked {
  return {
    header, enc, createResponseSealer: responseNonce => createChunkSealer({ recipient, header, enc }, responseNonce)
  }
}

interface Start extends Opened {
  readonly recipient: Recipient
  /** What was read beyond it. */
  readonly rest: Uint8Array
}

/** Takes the front off a whole message, up to the encapsulated key: the same in both forms. */
async function splitStart (message: Uint8Array, labels: Labels, decapsulate: Decapsulate): Promise<Start> {
  const { header, Nenc } = decodeHeader(message)
  const ciphertextAt = HEADER_LENGTH + Nenc
  // A copy, as it outlives the message.
  const enc = Uint8Array.from(message.subarray(HEADER_LENGTH, ciphertextAt))
  if (enc.length < Nenc) throw new OhttpError('ERR_OHTTP_OPEN')
  const recipient = await setupRecipient(header, enc, labels, decapsulate)
  return { header, enc, recipient, rest: message.subarray(ciphertextAt) }
}

/** Reads the front of a message that is arriving, up to the encapsulated key. */
async function readStart (
  iterator: AsyncIterator<Uint8Array>, labels: Labels, decapsulate: Decapsulate
): Promise<Start> {
  const queue = new ByteQueue()
  const { header, Nenc } = decodeHeader(await read(iterator, queue, HEADER_LENGTH))
  const enc = Uint8Array.from(await read(iterator, queue, Nenc))
  const recipient = await setupRecipient(header, enc, labels, decapsulate)
  return { header, enc, recipient, rest: queue.take(queue.length) ?? EMPTY }
}

async function read (iterator: AsyncIterator<Uint8Array>, queue: ByteQueue, length: number): Promise<Uint8Array> {
  for (;;) {
    const bytes = queue.take(length)
    if (bytes !== undefined) return bytes
    const { value, done } = await iterator.next()
    if (done === true) throw new OhttpError('ERR_OHTTP_OPEN')
    queue.push(value)
  }
}

function createChunkOpener (recipient: Recipient): ChunkOpener {
  const deframer = new Deframer()
  return {
    open (bytes) {
      const chunks = deframer.push(bytes)
      const joined = allocate(chunks.reduce((sum, { ciphertext }) => sum + ciphertext.length - Nt, 0))
      let length = 0
      function openFrom (first: number): Owned | Promise<Owned> {
        const next = first + CHUNKS_AT_ONCE
        for (const { ciphertext } of chunks.slice(first, next)) {
          const plaintext = openPiece(recipient, ciphertext, chunkAad(false))
          joined.set(plaintext, length)
          length += plaintext.length
          free(plaintext)
        }
        return next < chunks.length ? setImmediate(next).then(openFrom) : joined
      }
      return openFrom(0)
    },
    end: () => openPiece(recipient, deframer.end().ciphertext, chunkAad(true))
  }
}

/** What a key schedule takes from the labels, the key id, the KEM and the AEAD is the same for every request. */
const schedules = new WeakMap<Labels, Map<string, RecipientFactory>>()

async function setupRecipient (
  header: RequestHeader, enc: Uint8Array, labels: Labels, decapsulate: Decapsulate
): Promise<Recipient> {
  const secret = await sharedSecret(header, enc, decapsulate)
  let factories = schedules.get(labels)
  if (factories === undefined) schedules.set(labels, factories = new Map())
  // After decapsulation, so that only keys that exist get here: at most 256 ids, two KEMs, three AEADs.
  const name = `${header.keyId} ${header.kemId} ${header.aeadId}`
  let createRecipient = factories.get(name)
  if (createRecipient === undefined) {
    factories.set(name, createRecipient = createRecipientFactory(header, requestInfo(header, labels)))
  }
  return createRecipient(secret)
}

async function sharedSecret (header: RequestHeader, enc: Uint8Array, decapsulate: Decapsulate): Promise<Uint8Array> {
  try {
    return await decapsulate(header, enc)
  } catch (cause) {
    if (cause instanceof OhttpError && cause.code === 'ERR_OHTTP_KEY') throw cause
    throw new OhttpError('ERR_OHTTP_OPEN', { cause })
  }
}

async function openWhole (recipient: Recipient, ciphertext: Uint8Array): Promise<Owned> {
  try {
    return await recipient.openLong(ciphertext)
  } catch (cause) {
    throw new OhttpError('ERR_OHTTP_OPEN', { cause })
  }
}

function openPiece (recipient: Recipient, ciphertext: Uint8Array, aad: Uint8Array): Owned {
  try {
    return recipient.open(ciphertext, aad)
  } catch (cause) {
    throw new OhttpError('ERR_OHTTP_OPEN', { cause })
  }
}
