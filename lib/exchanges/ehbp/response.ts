/**
 * Seals the responses to EHBP requests, of every status: frames as the workload produces them. No proof of the end goes
 * with them, since the format has none: a response that breaks off must end as HTTP shows it, by an error.
 */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { createAead } from '../../hpke/aead.ts'
import { expand, extract } from '../../hpke/hmac.ts'
import type { Recipient } from '../../hpke/recipient.ts'
import type { ResponseHeaders } from '../../http/headers.ts'
import { Problem } from '../../http/problems.ts'
import { EMPTY, ascii } from '../../protocols/bytes.ts'
import { EHBP_SUITE, LENGTH_BYTES, NONCE_HEADER, RESPONSE_LABEL, RESPONSE_NONCE_BYTES } from '../../protocols/ehbp.ts'
import { computeNonce } from '../../protocols/ohttp/nonce.ts'
import { aeadSizes } from '../../protocols/ohttp/suites.ts'
import { convertStream } from '../../streams/convert.ts'
import { OwnedStream, allocate, free } from '../../streams/owned.ts'
import type { Owned } from '../../streams/owned.ts'
import type { PlainResponse, SealedResponse } from '../exchange.ts'

const { Nk, Nn, Nt } = aeadSizes(EHBP_SUITE.aeadId)!
const SECRET_BYTES = 32
const KEY_LABEL = ascii('key')
const NONCE_LABEL = ascii('nonce')
/** Of plaintext, so that no ciphertext is longer than 64 KiB. */
const FRAME_BYTES = 64 * 1024 - Nt

export interface ResponseKey {
  readonly key: Uint8Array
  readonly baseNonce: Uint8Array
}

export function deriveResponseKey (secret: Uint8Array, enc: Uint8Array, nonce: Uint8Array): ResponseKey {
  const prk = extract(Buffer.concat([enc, nonce]), secret)
  return { key: expand(prk, Nk, KEY_LABEL), baseNonce: expand(prk, Nn, NONCE_LABEL) }
}

/** Frames of one response, in order. Nothing comes of nothing. */
export function createFrameSealer ({ key, baseNonce }: ResponseKey): (plaintext: Uint8Array) => Owned {
  const aead = createAead(EHBP_SUITE.aeadId, key)
  let sequence = 0
  return plaintext => {
    const frames = Math.ceil(plaintext.length / FRAME_BYTES)
    const sealed = allocate(plaintext.length + frames * (LENGTH_BYTES + Nt))
    let at = 0
    for (let start = 0; start < plaintext.length; start += FRAME_BYTES) {
      const [ciphertext, tag] = aead.seal(
        computeNonce(baseNonce, sequence++), plaintext.subarray(start, start + FRAME_BYTES), EMPTY
      )
      at = sealed.writeUInt32BE(ciphertext.length + tag.length, at)
      sealed.set(ciphertext, at)
      sealed.set(tag, at + ciphertext.length)
      at += ciphertext.length + tag.length
      free(ciphertext)
    }
    return sealed
  }
}

/**
 * With a nonce of its own each time: an answer to what went wrong in sealing is sealed under another key.
 * @throws {Problem} upstream-invalid
 */
export function sealResponse (response: PlainResponse, recipient: Recipient, enc: Uint8Array): SealedResponse {
  const { 'content-length': length, ...headers } = response.headers
  if (isCoded(headers)) throw new Problem('upstream-invalid')
  const nonce = randomBytes(RESPONSE_NONCE_BYTES)
  const seal = createFrameSealer(deriveResponseKey(recipient.export(RESPONSE_LABEL, SECRET_BYTES), enc, nonce))
  return {
    status: response.status,
    headers: { ...headers, [NONCE_HEADER]: nonce.toString('hex') },
    body: sealBody(response.body, seal, typeof length === 'string' ? Number(length) : undefined)
  }
}

/** Always a stream, if there is anything: a length would be announced, which clients take for that of the content. */
function sealBody (
  body: PlainResponse['body'], seal: (plaintext: Uint8Array) => Owned, announced: number | undefined
): Readable | undefined {
  if (!(body instanceof Readable)) {
    return body === undefined || body.length === 0 ? undefined : OwnedStream.of([seal(Buffer.from(body))])
  }
  let length = 0
  const sealed = convertStream(body, {
    convert (piece) {
      length += piece.length
      return seal(piece)
    },
    end () {
      if (announced !== undefined && length !== announced) throw new Problem('upstream-invalid')
      return undefined
    },
    close: () => body.destroy()
  })
  // The head does not wait for a body that is yet to come: a frame of no length, which counts for nothing, takes it
  // along.
  setImmediate(() => {
    if (sealed.destroyed || length > 0 || body.readableEnded) return
    const nothing = allocate(LENGTH_BYTES)
    nothing.fill(0)
    sealed.give(nothing)
  })
  return sealed
}

/** The workload was asked not to. Clients would undo the coding before they decrypt. */
function isCoded ({ 'content-encoding': codings }: ResponseHeaders): boolean {
  return [codings ?? []].flat().join(',').split(',').some(
    coding => !['', 'identity'].includes(coding.trim().toLowerCase())
  )
}
