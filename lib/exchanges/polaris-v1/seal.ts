/**
 * Seals responses of the legacy protocol: base64 text of one message to the client's RSA key. The tag stands in front
 * of the ciphertext and covers all of it, so a response is held until it is complete; each piece is encrypted as it
 * arrives, so that no call blocks for long.
 */
import { constants, createCipheriv, createPublicKey, createSecretKey, publicEncrypt, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ByteBudget } from '../../streams/budget.ts'
import { createCollector } from '../../streams/collector.ts'
import type { PlainResponse, SealedResponse } from '../exchange.ts'
import type { ResponseHeaders } from '../../http/headers.ts'
import { Problem } from '../../http/problems.ts'
import { decodeBase64 } from '../../protocols/base64.ts'
import { decodeLatin1 } from '../../protocols/bytes.ts'
import { KEY_BYTES, MessageError, TAG_BYTES, encodeMessageHead } from '../../protocols/polaris-v1.ts'
import { workloadProblem } from '../../http/workload-problem.ts'
import { decode, decodersFor } from '../../streams/codings.ts'

const SPKI_PEM = /^-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----$/
/** A larger key would let a client buy much of our time with little of its own. */
const MODULUS_BITS: readonly number[] = [2048, 3072, 4096]
const MAX_EXPONENT = 0xffffffffn
const IV_BYTES = 12
/** Converting more than this to text at once would hold up the event loop. */
const TEXT_BYTES = 2 ** 18

/**
 * The client's public key, from the base64 of a SubjectPublicKeyInfo PEM.
 *
 * @throws {MessageError}
 */
export function parseResponseKey (header: string | string[] | undefined): KeyObject {
  const octets = typeof header === 'string' ? decodeBase64(header) : undefined
  const pem = octets === undefined ? '' : decodeLatin1(octets).trim()
  // Node would take certificates and private keys, too.
  if (!SPKI_PEM.test(pem)) throw new MessageError()
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch (cause) {
    throw new MessageError({ cause })
  }
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType !== 'rsa' || !MODULUS_BITS.includes(modulusLength) || publicExponent > MAX_EXPONENT) {
    throw new MessageError()
  }
  return key
}

export interface Sealer {
  seal (response: PlainResponse): Promise<SealedResponse>
  /** Gives the memory back to the budget. */
  release (): void
}

/** Seals one response to the client's key. The proxy's own errors go out as they are: they hold no secret. */
export function createSealer (clientKey: KeyObject, budget: ByteBudget, maxBytes: number): Sealer {
  const account = budget.open()

  async function seal (response: PlainResponse): Promise<SealedResponse> {
    if (!response.fromWorkload) return response
    // Of HEAD and 304 the headers describe a body that is not there. 204 has none (RFC 9110, section 8.6).
    if (response.body === undefined) {
      return response.status === 204 ? { ...response, headers: withoutLength(response.headers) } : response
    }
    const codings = decodersFor(response.headers)
    const key = randomBytes(KEY_BYTES)
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), iv, { authTagLength: TAG_BYTES })
    const ciphertext = createCollector(maxBytes, bytes => account.hold(bytes))
    for await (const piece of content(response.body, codings ?? [])) {
      if (ciphertext.length + piece.length > maxBytes) throw new Problem('upstream-invalid')
      ciphertext.push(cipher.update(piece))
    }
    cipher.final()
    const head = encodeMessageHead(
      { wrappedKey: wrap(clientKey, key), wrappedIV: wrap(clientKey, iv), authTag: cipher.getAuthTag() }
    )
    const length = head.length + ciphertext.length
    const headers = withoutLength(response.headers)
    if (codings !== undefined) delete headers['content-encoding']
    return {
      status: response.status,
      headers: { ...headers, 'content-length': String(Math.ceil(length / 3) * 4) },
      body: base64Text([Buffer.from(head.buffer), ...ciphertext.blocks()], length)
    }
  }

  return { seal, release: () => account.release() }
}

function wrap (clientKey: KeyObject, secret: Buffer): Buffer {
  return publicEncrypt({ key: clientKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, secret)
}

function withoutLength ({ 'content-length': _, ...headers }: ResponseHeaders): ResponseHeaders {
  return headers
}

/** The response body without its content codings, if the workload applied some although it was asked not to. */
async function * content (
  body: Readable | Uint8Array | string, decoders: NonNullable<ReturnType<typeof decodersFor>>
): AsyncGenerator<Buffer> {
  const source = body instanceof Readable ? body : Readable.from([Buffer.from(body)], { objectMode: false })
  let broken: Error | undefined
  source.once('error', error => { broken = error })
  try {
    yield * decoders.length === 0 ? source : decode(source, decoders)
  } catch (cause) {
    // Nothing was sent yet, so a workload that broke off gets an answer of its own.
    throw broken === undefined ? new Problem('upstream-invalid', { cause }) : workloadProblem(broken)
  } finally {
    source.destroy()
  }
}

/**
 * Standard base64 of the pieces, taken together; small at once, large piece by piece. Never a string: Node would write
 * the headers in the encoding of a string that follows them, and change every byte above ASCII.
 */
function base64Text (pieces: readonly Buffer[], length: number): Buffer | Readable {
  if (length <= TEXT_BYTES) return Buffer.from(Buffer.concat(pieces).toString('base64'), 'latin1')
  return Readable.from(base64Pieces(pieces), { objectMode: false })
}

function * base64Pieces (pieces: readonly Buffer[]): Generator<string> {
  let carry: Buffer = Buffer.alloc(0)
  for (const piece of pieces) {
    const joined = carry.length === 0 ? piece : Buffer.concat([carry, piece])
    const whole = joined.length - joined.length % 3
    if (whole > 0) yield joined.toString('base64', 0, whole)
    carry = joined.subarray(whole)
  }
  if (carry.length > 0) yield carry.toString('base64')
}
