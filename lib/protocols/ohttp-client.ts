/** The client's side of OHTTP: one-shot (RFC 9458) and chunked (draft-ietf-ohai-chunked-ohttp-08). */
import { ByteQueue } from './byte-queue.ts'
import { concat } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { setupSender } from './hpke-sender.ts'
import type { EncryptionKey, KemFactory, ResponseOpener } from './hpke-sender.ts'
import { Deframer, chunkAad, chunkPrefix, chunksOf } from './ohttp-chunks.ts'
import type { Chunk } from './ohttp-chunks.ts'
import { CHUNKED_LABELS, LABELS, OhttpError, encodeHeader, responseSizes } from './ohttp.ts'

const NOTHING = new Uint8Array(0)

export interface EncapsulatedRequest {
  /** The body to send, as message/ohttp-req. */
  readonly message: Bytes
  /** Opens the body that came back, as message/ohttp-res. @throws {OhttpError} ERR_OHTTP_OPEN */
  open (response: Uint8Array): Promise<Bytes>
}

/**
 * Encapsulates a Binary HTTP request.
 *
 * @param kem for tests and vectors: one that chooses its ephemeral key
 * @throws {OhttpError} ERR_OHTTP_KEY
 */
export async function encapsulateRequest (
  key: EncryptionKey, request: Uint8Array, kem?: KemFactory
): Promise<EncapsulatedRequest> {
  const sender = await setupSender(key, LABELS, kem)
  const { nonceLength } = responseSizes(sender.header.aeadId)
  return {
    message: concat(encodeHeader(sender.header), sender.enc, await sender.seal(request, NOTHING)),
    async open (response) {
      if (response.length < nonceLength) throw new OhttpError('ERR_OHTTP_OPEN')
      const open = await sender.responseOpener(response.subarray(0, nonceLength))
      return await open(response.subarray(nonceLength), NOTHING, 0)
    }
  }
}

export interface ChunkedExchange {
  /**
   * A whole Binary HTTP request as a message/ohttp-chunked-req. Use this or `sealStream`, once.
   */
  seal (request: Uint8Array): Promise<Bytes>
  /** Binary HTTP in, message/ohttp-chunked-req out, each piece written as soon as it comes. Use this or `seal`, once. */
  sealStream (): TransformStream<Uint8Array, Bytes>
  /**
   * message/ohttp-chunked-res in, Binary HTTP out. Errors with an OhttpError: ERR_OHTTP_OPEN, or, where the body ends
   * before its final chunk, ERR_OHTTP_INCOMPLETE. It never ends early in silence.
   */
  openStream (): TransformStream<Uint8Array, Bytes>
}

/**
 * Sets up a chunked exchange.
 *
 * @param kem for tests and vectors: one that chooses its ephemeral key
 * @throws {OhttpError} ERR_OHTTP_KEY
 */
export async function startChunkedExchange (key: EncryptionKey, kem?: KemFactory): Promise<ChunkedExchange> {
  const sender = await setupSender(key, CHUNKED_LABELS, kem)
  const { nonceLength } = responseSizes(sender.header.aeadId)
  const start = concat(encodeHeader(sender.header), sender.enc)
  let used = false

  async function * sealChunks (plaintext: Uint8Array, end: boolean): AsyncGenerator<Bytes, void, void> {
    for (const { bytes, final } of chunksOf(plaintext, end)) {
      const ciphertext = await sender.seal(bytes, chunkAad(final))
      yield concat(chunkPrefix(ciphertext.length, final), ciphertext)
    }
  }

  function use (): void {
    // A second request under the same context would continue the first one's sequence: nobody could open it.
    if (used) throw new TypeError('This exchange has its request')
    used = true
  }

  return {
    async seal (request) {
      use()
      const message = [start]
      for await (const chunk of sealChunks(request, true)) message.push(chunk)
      return concat(...message)
    },

    sealStream () {
      use()
      return new TransformStream({
        start (controller) { controller.enqueue(start) },
        async transform (bytes, controller) {
          for await (const chunk of sealChunks(bytes, false)) controller.enqueue(chunk)
        },
        async flush (controller) {
          for await (const chunk of sealChunks(NOTHING, true)) controller.enqueue(chunk)
        }
      })
    },

    openStream () {
      const before = new ByteQueue()
      const deframer = new Deframer()
      let open: ResponseOpener | undefined
      let n = 0
      async function openChunk ({ ciphertext, final }: Chunk): Promise<Bytes> {
        if (open === undefined) throw new OhttpError('ERR_OHTTP_INCOMPLETE')
        return await open(ciphertext, chunkAad(final), n++)
      }
      return new TransformStream({
        async transform (bytes, controller) {
          let chunked = bytes
          if (open === undefined) {
            before.push(bytes)
            const responseNonce = before.take(nonceLength)
            if (responseNonce === undefined) return before.settle()
            open = await sender.responseOpener(responseNonce)
            chunked = before.take(before.length) ?? NOTHING
          }
          for (const chunk of deframer.push(chunked)) controller.enqueue(await openChunk(chunk))
          deframer.settle()
        },
        async flush (controller) {
          const plaintext = await openChunk(deframer.end())
          if (plaintext.length > 0) controller.enqueue(plaintext)
        }
      })
    }
  }
}
