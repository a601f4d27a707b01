/** The client's side of OHTTP: one-shot (RFC 9458) and chunked (draft-ietf-ohai-chunked-ohttp-08). */
import { ByteQueue } from '../../lib/protocols/byte-queue.ts'
import { EMPTY, concat } from '../../lib/protocols/bytes.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'
import { setupSender } from './hpke-sender.ts'
import type { EncryptionKey, KemFactory } from './hpke-sender.ts'
import { Deframer, chunkAad, chunkPrefix, chunksOf } from '../../lib/protocols/ohttp/chunks.ts'
import { CHUNKED_LABELS, LABELS, OhttpError, encodeHeader, responseSizes } from '../../lib/protocols/ohttp/ohttp.ts'
import { createTransform } from './streams.ts'
import type { Transform } from './streams.ts'

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
    message: concat(encodeHeader(sender.header), sender.enc, await sender.seal(request, EMPTY)),
    async open (response) {
      if (response.length < nonceLength) throw new OhttpError('ERR_OHTTP_OPEN')
      const open = await sender.responseOpener(response.subarray(0, nonceLength))
      return await open(response.subarray(nonceLength), EMPTY, 0)
    }
  }
}

export interface ChunkedExchange {
  /**
   * A whole Binary HTTP request as a message/ohttp-chunked-req. Use this or `sealStream`, once.
   */
  seal (request: Uint8Array): Promise<Bytes>
  /**
   * Binary HTTP in, message/ohttp-chunked-req out, each piece written as soon as it comes. Use this or `seal`, once.
   */
  sealStream (): Transform
  /**
   * message/ohttp-chunked-res in, Binary HTTP out. Errors with an OhttpError: ERR_OHTTP_OPEN, or, where the body ends
   * before its final chunk, ERR_OHTTP_INCOMPLETE. It never ends early in silence.
   */
  openStream (): Transform
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
      return createTransform(async function * (source) {
        yield start
        for await (const bytes of source) yield * sealChunks(bytes, false)
        yield * sealChunks(EMPTY, true)
      })
    },

    openStream: () => createTransform(async function * (source) {
      const queue = new ByteQueue()
      let responseNonce: Uint8Array | undefined
      while (responseNonce === undefined) {
        const { value, done } = await source.next()
        if (done === true) throw new OhttpError('ERR_OHTTP_INCOMPLETE')
        queue.push(value)
        responseNonce = queue.take(nonceLength)
      }
      const open = await sender.responseOpener(responseNonce)
      const deframer = new Deframer()
      let n = 0
      async function * openChunks (bytes: Uint8Array): AsyncGenerator<Bytes, void, void> {
        for (const { ciphertext } of deframer.push(bytes)) yield await open(ciphertext, chunkAad(false), n++)
        deframer.settle()
      }
      yield * openChunks(queue.take(queue.length) ?? EMPTY)
      for await (const bytes of source) yield * openChunks(bytes)
      const last = await open(deframer.end().ciphertext, chunkAad(true), n)
      if (last.length > 0) yield last
    })
  }
}
