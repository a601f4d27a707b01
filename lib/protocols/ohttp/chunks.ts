/**
 * The framing of Chunked OHTTP (draft-ietf-ohai-chunked-ohttp-08, section 3), the same for requests and responses:
 *
 *     (length(varint) ct)* 0x00 final_ct
 *
 * The final ciphertext reaches to the end of the body. Encryption is elsewhere: this is without keys, so that
 * a client that has to wait for WebCrypto and a server that does not can share it.
 */
import { ByteQueue } from '../byte-queue.ts'
import { EMPTY, ascii } from '../bytes.ts'
import type { Bytes } from '../bytes.ts'
import { OhttpError } from './ohttp.ts'
import { encodeVarint, varintLength, writeVarint } from '../varint.ts'

/** Octets of plaintext in the largest chunk (section 3 of the draft asks receivers to accept as much). */
export const MAX_CHUNK = 16384
/** Octets of a tag: the same for all AEADs. */
export const Nt = 16
const FINAL_AAD = ascii('final')

export function chunkAad (final: boolean): Bytes {
  return final ? FINAL_AAD : EMPTY
}

export interface Chunk {
  readonly ciphertext: Uint8Array
  readonly final: boolean
}

/** What goes in front of a sealed chunk: with the length of its ciphertext, tag included. */
export function chunkPrefix (length: number, final: boolean): Bytes {
  return encodeVarint(final ? 0 : length)
}

/** Writes the same at the offset and returns the offset behind it. */
export function writeChunkPrefix (target: Uint8Array, length: number, final: boolean, offset: number): number {
  return writeVarint(target, final ? 0 : length, offset)
}

/** Plaintext for one chunk. */
export interface PlainChunk {
  readonly bytes: Uint8Array
  readonly final: boolean
}

/** Cuts plaintext into pieces that fit a chunk: none when it is empty, but where the end has to be said, one. */
export function chunksOf (plaintext: Uint8Array, end: boolean): PlainChunk[] {
  if (plaintext.length > 0 && plaintext.length <= MAX_CHUNK) return [{ bytes: plaintext, final: end }]
  const until = end ? Math.max(1, plaintext.length) : plaintext.length
  const chunks: PlainChunk[] = []
  for (let offset = 0; offset < until; offset += MAX_CHUNK) {
    chunks.push({ bytes: plaintext.subarray(offset, offset + MAX_CHUNK), final: end && offset + MAX_CHUNK >= until })
  }
  return chunks
}

/** Octets of a chunk once it is sealed: prefix, ciphertext and tag. */
export function sealedLength ({ bytes, final }: PlainChunk): number {
  const length = bytes.length + Nt
  return varintLength(final ? 0 : length) + length
}

/** Finds the chunks in octets that arrive in any pieces. Holds less than one chunk. */
export class Deframer {
  readonly #queue = new ByteQueue()
  /** Of the ciphertext that is due, once known; 0 for the final one. */
  #length: number | undefined
  #ended = false

  /**
   * The chunks that these octets complete. The ciphertexts may be views of them: open them at once.
   *
   * @throws {OhttpError} ERR_OHTTP_OPEN: a chunk is too large, or empty without being the final one
   */
  push (bytes: Uint8Array): Chunk[] {
    const chunks: Chunk[] = []
    this.#queue.push(bytes)
    for (;;) {
      this.#length ??= this.#queue.takeVarint()
      if (this.#length === undefined) break
      if (this.#length === 0) {
        if (this.#queue.length > MAX_CHUNK + Nt) throw new OhttpError('ERR_OHTTP_OPEN')
        break
      }
      if (this.#length <= Nt || this.#length > MAX_CHUNK + Nt) throw new OhttpError('ERR_OHTTP_OPEN')
      const ciphertext = this.#queue.take(this.#length)
      if (ciphertext === undefined) break
      this.#length = undefined
      chunks.push({ ciphertext, final: false })
    }
    return chunks
  }

  /** Ends `push`: what is left of its octets is copied, and they are not looked at any more. */
  settle (): void {
    this.#queue.settle()
  }

  /**
   * The final chunk, when the body has ended.
   *
   * @throws {OhttpError} ERR_OHTTP_INCOMPLETE: it ended before its final chunk
   */
  end (): Chunk {
    if (this.#length !== 0 || this.#ended) throw new OhttpError('ERR_OHTTP_INCOMPLETE')
    this.#ended = true
    const ciphertext = this.#queue.take(this.#queue.length)
    if (ciphertext === undefined || ciphertext.length < Nt) throw new OhttpError('ERR_OHTTP_INCOMPLETE')
    return { ciphertext, final: true }
  }
}
