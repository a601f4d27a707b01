/**
 * Writer of Binary HTTP messages (RFC 9292). Whole messages get known lengths; streams are written in parts: a head and
 * its content, where the length of that is known, otherwise head, content chunks, end. Field names are put in lower
 * case; otherwise what the reader would refuse, with its default limits, is refused here.
 */
import {
  DEFAULT_BHTTP_LIMITS as LIMITS, checkField, checkFinalStatus, checkRequestControl, isInformational, malformed,
  tooLarge
} from './bhttp.ts'
import type { Field, RequestHead, ResponseHead } from './bhttp.ts'
import { EMPTY, concat, writeLatin1 } from '../bytes.ts'
import type { Bytes } from '../bytes.ts'
import { encodeVarint, varintLength, writeVarint } from '../varint.ts'

const ZERO = Uint8Array.of(0)

/** What may follow the head of a known-length message. */
export interface BhttpBody {
  readonly content?: Uint8Array
  readonly trailers?: readonly Field[]
  /** The message is filled up with zeros to a multiple of this (RFC 9292, section 3.8). */
  readonly padTo?: number
}

/** A whole request, known length. @throws {BhttpError} the head or a trailer is not valid */
export function encodeRequest (head: RequestHead, body: BhttpBody = {}): Bytes {
  return encodeKnown(requestControl(0, head), head.headers, body)
}

/** A whole response, known length. @throws {BhttpError} the head or a trailer is not valid */
export function encodeResponse (head: ResponseHead, body: BhttpBody = {}): Bytes {
  checkFinalStatus(head.status)
  return encodeKnown(concat(encodeVarint(1), encodeVarint(head.status)), head.headers, body)
}

/**
 * The start of a streamed request, up to its content.
 *
 * @param contentLength where it is known: then exactly so many octets follow, and nothing else
 * @throws {BhttpError} the head is not valid
 */
export function encodeRequestHead (head: RequestHead, contentLength?: number): Bytes {
  const fields = encodeFields(head.headers)
  return contentLength === undefined
    ? concat(requestControl(2, head), fields, ZERO)
    : concat(requestControl(0, head), encodeVarint(fields.length), fields, encodeVarint(contentLength))
}

/**
 * A whole response, known length, up to its content: at least one octet, exactly as many as this says, which follow.
 *
 * @throws {BhttpError} the head is not valid
 */
export function encodeResponseStart ({ status, headers }: ResponseHead, contentLength: number): Bytes {
  checkFinalStatus(status)
  const fields = encodeFields(headers)
  return concat(encodeVarint(1), encodeVarint(status), encodeVarint(fields.length), fields, encodeVarint(contentLength))
}

/**
 * The start of a streamed response, up to its content, any number of informational responses first.
 *
 * @throws {BhttpError} a head is not valid
 */
export function encodeResponseHead (head: ResponseHead, informational: readonly ResponseHead[] = []): Bytes {
  for (const { status } of informational) {
    if (!isInformational(status)) throw malformed('The status is not one of an informational response')
  }
  checkFinalStatus(head.status)
  const responses = [...informational, head]
  return concat(
    encodeVarint(3),
    ...responses.flatMap(({ status, headers }) => [encodeVarint(status), encodeFields(headers), ZERO])
  )
}

/** What goes in front of a content chunk of this many octets, at least one: zero would end the content. */
export function contentChunkPrefix (length: number): Bytes {
  if (length === 0) throw new RangeError('A content chunk is not empty')
  return encodeVarint(length)
}

/** The end of the content and the trailers of a streamed message. @throws {BhttpError} a trailer is not valid */
export function encodeEnd (trailers: readonly Field[] = []): Bytes {
  return concat(ZERO, encodeFields(trailers), ZERO)
}

function requestControl (framing: number, head: RequestHead): Bytes {
  const { method, scheme, authority, path } = head
  checkRequestControl(method, scheme, authority, path)
  for (const part of ['method', 'authority', 'path'] as const) {
    if (head[part].length > LIMITS[part]) throw tooLarge(`The ${part}`)
  }
  return concat(encodeVarint(framing), text(method), text(scheme), text(authority), text(path))
}

function encodeKnown (control: Bytes, headers: readonly Field[], body: BhttpBody): Bytes {
  const fields = encodeFields(headers)
  const content = body.content ?? EMPTY
  const trailers = body.trailers ? encodeFields(body.trailers) : EMPTY
  const parts: Uint8Array[] = [control, encodeVarint(fields.length), fields]
  // Empty trailers, and empty content before them, are left out: section 3.8.
  if (content.length > 0 || trailers.length > 0) parts.push(encodeVarint(content.length), content)
  if (trailers.length > 0) parts.push(encodeVarint(trailers.length), trailers)
  parts.push(new Uint8Array(paddingLength(parts.reduce((sum, part) => sum + part.length, 0), body.padTo)))
  return concat(...parts)
}

/** Zeros that fill a message of this length up to a multiple of padTo (section 3.8); 0 or 1 for not at all. */
export function paddingLength (length: number, padTo = 0): number {
  return padTo > 1 ? Math.ceil(length / padTo) * padTo - length : 0
}

function encodeFields (fields: readonly Field[]): Bytes {
  if (fields.length > LIMITS.fields) throw tooLarge('The number of fields')
  let size = 0
  const lines = fields.map(([mixedCase, value]) => {
    // Of ASCII only: other letters, some of which would become ASCII, are refused below.
    const name = mixedCase.replace(/[A-Z]+/g, letters => letters.toLowerCase())
    checkField(name, value)
    if (name.length > LIMITS.fieldName) throw tooLarge('A field name')
    if (value.length > LIMITS.fieldValue) throw tooLarge('A field value')
    size += varintLength(name.length) + name.length + varintLength(value.length) + value.length
    return [name, value] as const
  })
  if (size > LIMITS.fieldSection) throw tooLarge('A field section')
  const section = new Uint8Array(size)
  let offset = 0
  for (const line of lines) {
    for (const part of line) offset = writeLatin1(section, part, writeVarint(section, part.length, offset))
  }
  return section
}

function text (value: string): Bytes {
  const bytes = new Uint8Array(varintLength(value.length) + value.length)
  writeLatin1(bytes, value, writeVarint(bytes, value.length, 0))
  return bytes
}
