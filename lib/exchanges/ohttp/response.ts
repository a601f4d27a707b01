/** Seals the responses to OHTTP requests, RFC 9458 and chunked (draft-ietf-ohai-chunked-ohttp-08). */
import { randomFillSync } from 'node:crypto'
import { createAead } from '../../hpke/aead.ts'
import type { Aead } from '../../hpke/aead.ts'
import { expand, extract } from '../../hpke/hmac.ts'
import type { Recipient } from '../../hpke/recipient.ts'
import { EMPTY } from '../../protocols/bytes.ts'
import { chunkAad, chunksOf, sealedLength, writeChunkPrefix } from '../../protocols/ohttp/chunks.ts'
import { computeNonce } from '../../protocols/ohttp/nonce.ts'
import {
  CHUNKED_LABELS, LABELS, RESPONSE_KEY_LABEL, RESPONSE_NONCE_LABEL, responseSizes
} from '../../protocols/ohttp/ohttp.ts'
import type { Labels, RequestHeader } from '../../protocols/ohttp/ohttp.ts'
import { allocate, free, own } from '../../streams/owned.ts'
import type { Owned } from '../../streams/owned.ts'

/** The request that a response belongs to. */
export interface RequestContext {
  readonly recipient: Recipient
  readonly header: RequestHeader
  readonly enc: Uint8Array
}

/** The parts of a message/ohttp-res, in order. To be called once for each request. */
export async function sealResponse (
  context: RequestContext, response: Uint8Array, responseNonce?: Uint8Array
): Promise<Owned[]> {
  const { nonce, aead, baseNonce } = responseKey(context, LABELS, responseNonce)
  return [nonce, ...await aead.sealLong(baseNonce, response)]
}

/** Seals the chunks of a response, each as soon as there is something to send. */
export interface ChunkSealer {
  /**
   * More of the response, one chunk for every 16384 bytes of each part. The response nonce comes with the first call.
   */
  seal (...plaintexts: readonly Uint8Array[]): Owned
  /**
   * The rest of the response, possibly nothing, with the proof of its end. Never call it for a response that broke off.
   */
  final (plaintext?: Uint8Array): Owned
}

/** To be called once for each request. */
export function createChunkSealer (context: RequestContext, responseNonce?: Uint8Array): ChunkSealer {
  const { nonce, aead, baseNonce } = responseKey(context, CHUNKED_LABELS, responseNonce)
  let finished = false
  let unsent: Uint8Array = nonce
  let sequence = 0

  function sealChunks (plaintexts: readonly Uint8Array[], end: boolean): Owned {
    // Sealed or not: a second end would be a second message under one key.
    if (finished) throw new TypeError('The response has ended')
    finished = end
    const chunks = plaintexts.flatMap(plaintext => chunksOf(plaintext, end))
    const sealed = allocate(chunks.reduce((sum, chunk) => sum + sealedLength(chunk), unsent.length))
    let at = append(sealed, unsent, 0)
    unsent = EMPTY
    for (const { bytes, final } of chunks) {
      const [ciphertext, tag] = aead.seal(computeNonce(baseNonce, sequence++), bytes, chunkAad(final))
      at = writeChunkPrefix(sealed, ciphertext.length + tag.length, final, at)
      at = append(sealed, ciphertext, at)
      at = append(sealed, tag, at)
      free(ciphertext)
    }
    return sealed
  }

  return {
    seal: (...plaintexts) => sealChunks(plaintexts, false),
    final: (plaintext = EMPTY) => sealChunks([plaintext], true)
  }
}

interface ResponseKey {
  /** Goes in front of the response. */
  readonly nonce: Owned
  readonly aead: Aead
  readonly baseNonce: Uint8Array
}

/** RFC 9458, section 4.4. The chunked form counts up from the same nonce. */
function responseKey (
  { recipient, header, enc }: RequestContext, labels: Labels, responseNonce?: Uint8Array
): ResponseKey {
  const { Nk, Nn, nonceLength } = responseSizes(header.aeadId)
  const nonce = responseNonce === undefined ? drawNonce(nonceLength) : own(Buffer.from(responseNonce))
  const prk = extract(Buffer.concat([enc, nonce]), recipient.export(labels.response, nonceLength))
  return {
    nonce,
    aead: createAead(header.aeadId, expand(prk, Nk, RESPONSE_KEY_LABEL)),
    baseNonce: expand(prk, Nn, RESPONSE_NONCE_LABEL)
  }
}

const pool = Buffer.alloc(4096)
let drawn = pool.length

/**
 * A new random response nonce. The generator fills a pool for many of them, since each call takes µs, however few bytes
 * it is for. Nonces are sent unencrypted, so the pool holds no secrets (docs/decisions/0021-own-hmac.md).
 */
function drawNonce (length: number): Owned {
  if (drawn + length > pool.length) {
    randomFillSync(pool)
    drawn = 0
  }
  const nonce = allocate(length)
  nonce.set(pool.subarray(drawn, drawn += length))
  return nonce
}

/** Returns the offset behind what was written. */
function append (target: Uint8Array, bytes: Uint8Array, offset: number): number {
  target.set(bytes, offset)
  return offset + bytes.length
}
