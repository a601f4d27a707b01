/**
 * The gateway's side of OHTTP: opens requests, one-shot (RFC 9458) and chunked (draft-ietf-ohai-chunked-ohttp-08), and
 * makes what seals their responses. Whoever calls this has the private keys; this only asks for shared secrets.
 */
import { randomFillSync } from 'node:crypto'
import type { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { allocate, free, freeOnceSent } from '../../streams/free.ts'
import { createAead } from '../../hpke/aead.ts'
import type { PieceSealer } from '../../hpke/aead.ts'
import { expand, extract } from '../../hpke/hmac.ts'
import { createRecipientFactory } from '../../hpke/recipient.ts'
import type { Recipient, RecipientFactory } from '../../hpke/recipient.ts'
import { ByteQueue } from '../../protocols/byte-queue.ts'
import { computeNonce } from '../../protocols/ohttp/nonce.ts'
import { Deframer, Nt, chunkAad, chunksOf, sealedLength, writeChunkPrefix } from '../../protocols/ohttp/chunks.ts'
import {
  CHUNKED_LABELS, HEADER_LENGTH, LABELS, OhttpError, RESPONSE_KEY_LABEL, RESPONSE_NONCE_LABEL, decodeHeader, requestInfo,
  responseSizes
} from '../../protocols/ohttp/ohttp.ts'
import type { Labels, RequestHeader } from '../../protocols/ohttp/ohttp.ts'

const NONE = new Uint8Array(0)
/** So many octets are sealed without a break: less than 0.1 ms of AES. */
const OCTETS_AT_ONCE = 256 * 1024
/** So many chunks are opened without a break: they may be cut as small as an octet, and each takes some µs. */
const CHUNKS_AT_ONCE = 64

/**
 * The KEM's shared secret for enc, under the key and the algorithms that the header names.
 *
 * It throws OhttpError ERR_OHTTP_KEY where the key is not known, is of another KEM, or does not offer the algorithms;
 * anything else it throws counts as a message that cannot be opened.
 */
export type Decapsulate = (header: RequestHeader, enc: Uint8Array) => Uint8Array | Promise<Uint8Array>

interface Opened {
  readonly header: RequestHeader
  /** Unique to the request: together with the key id, what replays are recognised by (RFC 9458, section 6.5). */
  readonly enc: Uint8Array
}

interface OneShot extends Opened {
  /** A whole Binary HTTP response as message/ohttp-res. The nonce is for tests and vectors. */
  sealResponse (response: Uint8Array, responseNonce?: Uint8Array): Uint8Array
  /**
   * The same of one that is in pieces, which are the gateway's to free, with time for others between them. Where they end
   * with an error, so does this: without its tag, nothing of the response opens.
   */
  sealResponsePieces (response: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, responseNonce?: Uint8Array): AsyncGenerator<Uint8Array, void, void>
  /** By how much sealing lengthens a response. */
  readonly overhead: number
}

export interface OpenedRequest extends OneShot {
  /** Binary HTTP. */
  readonly request: Uint8Array
}

export interface OpenedPieces extends OneShot {
  /** Binary HTTP, cut anywhere. */
  readonly pieces: readonly Uint8Array[]
}

/** Opens a message/ohttp-req. @throws {OhttpError} ERR_OHTTP_KEY or ERR_OHTTP_OPEN */
export async function openRequest (message: Uint8Array, decapsulate: Decapsulate): Promise<OpenedRequest> {
  const { header, enc, recipient, rest } = await splitStart(message, LABELS, decapsulate)
  return { ...oneShot(recipient, header, enc), request: openPiece(recipient, rest, NONE) }
}

/**
 * Opens a message/ohttp-req as it arrives, so that a large one keeps nobody waiting; all of it is there and authentic
 * when this resolves. Of the source the pieces are the gateway's to free; it stays the caller's, as for the chunked form.
 *
 * @throws {OhttpError} ERR_OHTTP_KEY or ERR_OHTTP_OPEN, or what the source throws
 */
export async function openArrivingRequest (source: AsyncIterable<Uint8Array>, decapsulate: Decapsulate): Promise<OpenedPieces> {
  const iterator = source[Symbol.asyncIterator]()
  const { header, enc, recipient, rest } = await readStart(iterator, LABELS, decapsulate)
  const opener = recipient.startOpen()
  const pieces = [opener.update(rest)]
  // The opener needs each until it has the next.
  let last = rest
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    pieces.push(opener.update(next.value))
    free(last)
    last = next.value
  }
  pieces.push(guarded(() => opener.end()))
  return { ...oneShot(recipient, header, enc), pieces }
}

function oneShot (recipient: Recipient, header: RequestHeader, enc: Uint8Array): OneShot {
  const { nonceLength, Nt } = responseSizes(header.aeadId)
  return {
    header,
    enc,
    overhead: nonceLength + Nt,
    sealResponse (response, responseNonce) {
      const { nonce, seal } = createResponseKey(recipient, header, enc, LABELS, responseNonce)
      return Buffer.concat([nonce, ...seal(response, NONE)])
    },
    async * sealResponsePieces (response, responseNonce) {
      const { nonce, startSeal } = createResponseKey(recipient, header, enc, LABELS, responseNonce)
      const sealer = startSeal()
      yield nonce
      let sealed = 0
      for await (const piece of response) {
        const { length } = piece
        const ciphertext = sealer.update(piece)
        free(piece)
        freeOnceSent(ciphertext)
        yield ciphertext
        sealed += length
        if (sealed < OCTETS_AT_ONCE) continue
        sealed = 0
        await setImmediate()
      }
      yield sealer.end()
    }
  }
}

/** Opens the chunks of a request, one call after the other. */
export interface ChunkOpener {
  /**
   * Binary HTTP: what is in the chunks that these octets complete, joined; empty, where they complete none. At once,
   * unless the chunks are many. The octets are the opener's to free.
   *
   * @throws {OhttpError} ERR_OHTTP_OPEN
   */
  open (bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
  /**
   * What is in the final chunk, possibly nothing, once there are no more octets: the client said under the key that
   * nothing follows.
   *
   * @throws {OhttpError} ERR_OHTTP_OPEN or ERR_OHTTP_INCOMPLETE
   */
  end (): Uint8Array
}

/** Seals the chunks of a response, each as soon as there is something to send. */
export interface ChunkSealer {
  /** More of the response, one chunk for every 16384 octets of each part. The response nonce comes with the first call. */
  seal (...plaintexts: readonly Uint8Array[]): Uint8Array
  /** The rest of the response, possibly nothing, with the proof of its end. Never call it for a response that broke off. */
  final (plaintext?: Uint8Array): Uint8Array
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
  readonly pieces: readonly Uint8Array[]
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
  const pieces: Uint8Array[] = []
  for (const { ciphertext, final } of chunks) {
    if (pieces.push(openPiece(recipient, ciphertext, chunkAad(final))) % CHUNKS_AT_ONCE === 0) await setImmediate()
  }
  return { ...chunked(recipient, header, enc), pieces }
}

/**
 * Opens a message/ohttp-chunked-req as it arrives: resolves as soon as the encapsulated key is there and decapsulated,
 * which proves nothing yet; the first chunk that opens does.
 *
 * The source stays the caller's: it is not closed, whatever happens, since closing a server's request would also cut off
 * the response that says what was wrong with it. Its pieces are the gateway's to free.
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
    header,
    enc,
    createResponseSealer: (responseNonce) =>
      createChunkSealer(createResponseKey(recipient, header, enc, CHUNKED_LABELS, responseNonce))
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
  const enc = message.subarray(HEADER_LENGTH, ciphertextAt)
  if (enc.length < Nenc) throw new OhttpError('ERR_OHTTP_OPEN')
  const recipient = await setupRecipient(header, enc, labels, decapsulate)
  return { header, enc, recipient, rest: message.subarray(ciphertextAt) }
}

/** Reads the same of one that is arriving. */
async function readStart (iterator: AsyncIterator<Uint8Array>, labels: Labels, decapsulate: Decapsulate): Promise<Start> {
  const queue = new ByteQueue()
  const { header, Nenc } = decodeHeader(await read(iterator, queue, HEADER_LENGTH))
  const enc = Uint8Array.from(await read(iterator, queue, Nenc))
  const recipient = await setupRecipient(header, enc, labels, decapsulate)
  return { header, enc, recipient, rest: queue.take(queue.length) ?? NONE }
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
      // Now, since a ciphertext may be all of these octets.
      deframer.settle()
      const joined = allocate(chunks.reduce((sum, { ciphertext }) => sum + ciphertext.length - Nt, 0))
      let length = 0
      function openFrom (first: number): Uint8Array | Promise<Uint8Array> {
        const next = first + CHUNKS_AT_ONCE
        for (const { ciphertext } of chunks.slice(first, next)) {
          const plaintext = openPiece(recipient, ciphertext, chunkAad(false))
          length = append(joined, plaintext, length)
          free(plaintext)
          free(ciphertext)
        }
        if (next < chunks.length) return setImmediate(next).then(openFrom)
        free(bytes)
        return joined
      }
      return openFrom(0)
    },
    end: () => openPiece(recipient, deframer.end().ciphertext, chunkAad(true))
  }
}

/** By label, key id, KEM and AEAD: what a key schedule takes from them is the same for every request. */
const factories = new Map<string, RecipientFactory>()

async function setupRecipient (
  header: RequestHeader, enc: Uint8Array, labels: Labels, decapsulate: Decapsulate
): Promise<Recipient> {
  const secret = await sharedSecret(header, enc, decapsulate)
  // After decapsulation, so that only keys that exist get here: at most 256 ids, two KEMs, three AEADs, two labels.
  const name = `${labels.request.length} ${header.keyId} ${header.kemId} ${header.aeadId}`
  let createRecipient = factories.get(name)
  if (createRecipient === undefined) {
    createRecipient = createRecipientFactory(header, requestInfo(header, labels))
    factories.set(name, createRecipient)
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

function openPiece (recipient: Recipient, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array {
  return guarded(() => recipient.open(ciphertext, aad))
}

function guarded<T> (open: () => T): T {
  try {
    return open()
  } catch (cause) {
    throw new OhttpError('ERR_OHTTP_OPEN', { cause })
  }
}

// Response nonces go out in clear. Drawing one takes 3 µs, drawing this many takes 5.
const randomness = Buffer.alloc(4096)
let used = randomness.length

function randomNonce (length: number): Buffer {
  if (used + length > randomness.length) {
    randomFillSync(randomness)
    used = 0
  }
  used += length
  return Buffer.from(randomness.subarray(used - length, used))
}

interface ResponseKey {
  /** Goes in front of the response. */
  readonly nonce: Uint8Array
  /** Seals the next piece: ciphertext and tag. */
  seal (plaintext: Uint8Array, aad: Uint8Array): [Uint8Array, Uint8Array]
  /** Seals all of a response, without associated data. */
  startSeal (): PieceSealer
}

/** RFC 9458, section 4.4; with the counter of the chunked form, which starts at the same nonce. */
function createResponseKey (
  recipient: Recipient, { aeadId }: RequestHeader, enc: Uint8Array, labels: Labels, responseNonce?: Uint8Array
): ResponseKey {
  const { Nk, Nn, nonceLength } = responseSizes(aeadId)
  const nonce = responseNonce ?? randomNonce(nonceLength)
  const prk = extract(Buffer.concat([enc, nonce]), recipient.export(labels.response, nonceLength))
  const aead = createAead(aeadId, expand(prk, Nk, RESPONSE_KEY_LABEL))
  const baseNonce = expand(prk, Nn, RESPONSE_NONCE_LABEL)
  const chunkNonce = new Uint8Array(Nn)
  let n = 0
  return {
    nonce,
    seal: (plaintext, aad) => aead.seal(computeNonce(baseNonce, n++, chunkNonce), plaintext, aad),
    startSeal: () => aead.startSeal(computeNonce(baseNonce, n++))
  }
}

function createChunkSealer (key: ResponseKey): ChunkSealer {
  let finished = false
  let unsent = key.nonce

  function sealChunks (plaintexts: readonly Uint8Array[], end: boolean): Uint8Array {
    // Sealed or not: a second end would be a second message under one key.
    if (finished) throw new TypeError('The response has ended')
    finished = end
    const chunks = plaintexts.flatMap(plaintext => chunksOf(plaintext, end))
    const sealed = allocate(chunks.reduce((sum, chunk) => sum + sealedLength(chunk), unsent.length))
    let at = append(sealed, unsent, 0)
    unsent = NONE
    for (const { bytes, final } of chunks) {
      const [ciphertext, tag] = key.seal(bytes, chunkAad(final))
      at = writeChunkPrefix(sealed, ciphertext.length + tag.length, final, at)
      at = append(sealed, ciphertext, at)
      at = append(sealed, tag, at)
      free(ciphertext)
    }
    freeOnceSent(sealed)
    return sealed
  }

  return {
    seal: (...plaintexts) => sealChunks(plaintexts, false),
    final: (plaintext = NONE) => sealChunks([plaintext], true)
  }
}

/** Returns the offset behind what was written. */
function append (target: Uint8Array, bytes: Uint8Array, offset: number): number {
  target.set(bytes, offset)
  return offset + bytes.length
}
