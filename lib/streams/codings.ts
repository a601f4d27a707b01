/** Undoes the content codings of a response (RFC 9110, section 8.4): a sealed body is of the content itself. */
import { Readable, pipeline } from 'node:stream'
import type { Duplex } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } from 'node:zlib'
import type { ResponseHeaders } from '../http/headers.ts'
import { Problem } from '../http/problems.ts'

/** Whatever follows the end of a coding is refused; gzip may have several members, and refuses the rest by itself. */
const STRICT = { rejectGarbageAfterEnd: true }
/** The low half of the first byte of a zlib header names its method, deflate. Some servers send deflate without one. */
const ZLIB_DEFLATE = 8
/** `fetch` refuses more, too. */
const MAX_CODINGS = 5

type Decoder = (firstByte: number) => Duplex

const decoders = new Map<string, Decoder>([
  ['gzip', () => createGunzip()],
  ['x-gzip', () => createGunzip()],
  ['deflate', first => (first & 0x0f) === ZLIB_DEFLATE ? createInflate(STRICT) : createInflateRaw(STRICT)],
  ['br', () => createBrotliDecompress(STRICT)],
  ['zstd', () => createZstdDecompress(STRICT)]
])

/**
 * Decoders for the codings that the headers name, the last one applied first. Empty if there are none. Undefined if one
 * of them is unknown: then the body stays as it is and the header with it, as `fetch` leaves them.
 *
 * @throws {Problem} upstream-invalid, if there are too many
 */
export function decodersFor (headers: ResponseHeaders): readonly Decoder[] | undefined {
  const codings = [headers['content-encoding'] ?? []].flat().join(',').toLowerCase().split(',')
    .map(coding => coding.trim()).filter(coding => coding !== '' && coding !== 'identity')
  const found = codings.map(coding => decoders.get(coding)).filter(decoder => decoder !== undefined)
  if (codings.length > MAX_CODINGS) throw new Problem('upstream-invalid')
  return found.length === codings.length ? found.reverse() : undefined
}

/** The decoded content. Nothing comes of nothing: an empty body is no error, whatever coding its header names. */
export async function * decode (source: Readable, decoders: readonly Decoder[]): AsyncGenerator<Buffer> {
  let decoded: Readable = source
  for (const decoder of decoders) {
    const start = await firstPiece(decoded)
    if (start === undefined) return
    // Errors reach the reader of the last one. One that comes after all was read is no one's.
    decoded = pipeline(Readable.from(start.all, { objectMode: false }), decoder(start.first), () => undefined)
  }
  yield * decoded as AsyncIterable<Buffer>
}

/** The first byte of a stream, and the stream with it; undefined if there is none. */
async function firstPiece (source: Readable): Promise<{ first: number, all: AsyncGenerator<Buffer> } | undefined> {
  const pieces = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  for (;;) {
    const next = await pieces.next()
    if (next.done === true) return undefined
    const piece = next.value
    const [first] = piece
    if (first !== undefined) return { first, all: following(piece, pieces) }
  }
}

async function * following (first: Buffer, pieces: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield first
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value
}
