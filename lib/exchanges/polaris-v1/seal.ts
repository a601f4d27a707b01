/**
 * Seals responses of the legacy protocol: base64 text of one message to the client's RSA key. The tag stands in front
 * of the ciphertext and covers all of it, so a response is held until it is complete; each piece is encrypted as it
 * arrives, so that no call blocks for long.
 */
import { constants, createCipheriv, createPublicKey, createSecretKey, publicEncrypt, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { ByteBudget } from '../../streams/budget.ts'
import type { PlainResponse, SealedResponse } from '../exchange.ts'
import { Problem } from '../../http/problems.ts'
import { decodeBase64 } from '../../protocols/base64.ts'
import { decodeLatin1 } from '../../protocols/bytes.ts'
import { KEY_BYTES, MessageError, TAG_BYTES, encodeMessageHead } from '../../protocols/polaris-v1.ts'
import { upstreamProblem } from '../../http/workload-problem.ts'

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
  if (key.asymmetricKeyType !== 'rsa' || !MODULUS_BITS.includes(modulusLength) || publicExponent > MAX_EXPONENT) throw new MessageError()
  return key
}

/** Whatever follows the end of a coding is refused; gzip may have several members, and refuses the rest by itself. */
const STRICT = { rejectGarbageAfterEnd: true }
const decoders = new Map<string, () => Transform>([
  ['gzip', createGunzip], ['x-gzip', createGunzip], ['deflate', () => createInflate(STRICT)], ['br', () => createBrotliDecompress(STRICT)]
])

export interface Sealer {
  seal (response: PlainResponse): Promise<SealedResponse>
  /** Gives the memory back to the budget. */
  release (): void
}

/** Seals one response to the client's key. The proxy's own errors go out as they are: they hold no secret. */
export function createSealer (clientKey: KeyObject, budget: ByteBudget, maxBytes: number): Sealer {
  let held = 0
  let released = false

  async function seal (response: PlainResponse): Promise<SealedResponse> {
    const { 'content-encoding': _coding, 'content-length': _length, ...headers } = response.headers
    if (!response.fromWorkload) return response
    if (response.body === undefined) return { ...response, headers }
    const key = randomBytes(KEY_BYTES)
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), iv, { authTagLength: TAG_BYTES })
    const ciphertext: Buffer[] = []
    for await (const piece of decoded(response)) {
      if (held + piece.length > maxBytes) throw new Problem('upstream-invalid')
      // Once released, for a client that is gone, nobody would give back what is taken.
      if (released || !budget.take(piece.length)) throw new Problem('overloaded')
      held += piece.length
      ciphertext.push(cipher.update(piece))
    }
    cipher.final()
    const head = encodeMessageHead({ wrappedKey: wrap(clientKey, key), wrappedIV: wrap(clientKey, iv), authTag: cipher.getAuthTag() })
    return {
      status: response.status,
      headers: { ...headers, 'content-length': String(Math.ceil((head.length + held) / 3) * 4) },
      body: base64Text([Buffer.from(head.buffer), ...ciphertext], head.length + held)
    }
  }

  return {
    seal,
    release () {
      released = true
      budget.give(held)
      held = 0
    }
  }
}

function wrap (clientKey: KeyObject, secret: Buffer): Buffer {
  return publicEncrypt({ key: clientKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, secret)
}

/** The response body without a content coding, should the workload have applied one although it was asked not to. */
async function * decoded ({ headers, body }: PlainResponse): AsyncGenerator<Buffer> {
  const source = body instanceof Readable ? body : Readable.from([Buffer.from(body ?? '')])
  let broken: Error | undefined
  source.once('error', error => { broken = error })
  const coding = String(headers['content-encoding'] ?? '').trim().toLowerCase()
  try {
    yield * coding === '' || coding === 'identity' ? source : decode(source, coding)
  } catch (cause) {
    // Nothing was sent yet, so a workload that broke off gets an answer of its own.
    throw broken === undefined ? new Problem('upstream-invalid', { cause }) : upstreamProblem(broken)
  } finally {
    source.destroy()
  }
}

function decode (source: Readable, coding: string): Transform {
  const decoder = decoders.get(coding)?.()
  if (decoder === undefined) throw new Problem('upstream-invalid')
  source.once('error', error => decoder.destroy(error))
  return source.pipe(decoder).on('error', () => { /* its reader sees it; one that comes when all was read is nobody's */ })
}

/** Standard base64 of the pieces, taken together; small at once, large piece by piece. */
function base64Text (pieces: readonly Buffer[], length: number): string | Readable {
  if (length <= TEXT_BYTES) return Buffer.concat(pieces).toString('base64')
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
