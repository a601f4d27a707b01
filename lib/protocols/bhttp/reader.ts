/**
 * Incremental reader of Binary HTTP messages (RFC 9292), known and indeterminate length. Octets go in as they arrive;
 * the head comes out as soon as it is complete, content as it comes. Nothing but the current element is held.
 *
 * The format is written down once, as generators that read it in order; they yield events, and nothing when they have
 * to wait for more octets.
 */
import {
  BhttpError, DEFAULT_BHTTP_LIMITS, checkField, checkFinalStatus, checkRequestControl, isInformational, malformed,
  tooLarge
} from './bhttp.ts'
import type { BhttpLimits, Field } from './bhttp.ts'
import type { BhttpContent, BhttpRequestEvent, BhttpResponseEvent, BhttpTrailers } from './events.ts'
import { ByteQueue } from '../byte-queue.ts'
import { decodeLatin1 } from '../bytes.ts'

export interface BhttpReader<Event> {
  /** @throws {BhttpError} the message is refused; the reader is of no use afterwards */
  push (bytes: Uint8Array): Event[]
  /**
   * Call when the message is known to be complete, since omitting empty sections at the end is legal
   * (RFC 9292, section 3.8): the head may come out only now.
   *
   * @throws {BhttpError} as push, and when the message ends too early
   */
  end (): Event[]
  /** Octets copied while parsing, for tests of linearity. */
  readonly copied: number
}

export function createRequestReader (limits: BhttpLimits = DEFAULT_BHTTP_LIMITS): BhttpReader<BhttpRequestEvent> {
  return createReader(source => readRequest(source, limits))
}

export function createResponseReader (limits: BhttpLimits = DEFAULT_BHTTP_LIMITS): BhttpReader<BhttpResponseEvent> {
  return createReader(source => readResponse(source, limits))
}

/** Yields events; undefined means that more octets are needed. */
type Steps<Event, Result = void> = Generator<Event | undefined, Result, void>

class Source extends ByteQueue {
  ended = false
}

function createReader<Event> (format: (source: Source) => Steps<Event>): BhttpReader<Event> {
  const source = new Source()
  const steps = format(source)
  let failure: unknown
  function run (): Event[] {
    // A generator that threw counts as finished: without this, a refused message would look complete when asked again.
    if (failure !== undefined) throw failure
    const events: Event[] = []
    try {
      for (let step = steps.next(); step.done !== true && step.value !== undefined; step = steps.next()) {
        events.push(step.value)
      }
    } catch (error) {
      failure = error
      throw error
    }
    source.settle()
    return events
  }
  return {
    push (bytes) {
      if (source.ended) throw malformed('Octets after the end')
      source.push(bytes)
      return run()
    },
    end () {
      source.ended = true
      return run()
    },
    get copied () { return source.copied }
  }
}

function * readRequest (source: Source, limits: BhttpLimits): Steps<BhttpRequestEvent> {
  const framing = source.takeVarint() ?? (yield * waitVarint(source))
  if (framing !== 0 && framing !== 2) throw malformed('The framing indicator is not one of a request')
  const known = framing === 0
  const method = yield * readText(source, limits.method, 'The method')
  const scheme = yield * readText(source, 'https'.length, 'The scheme')
  const authority = yield * readText(source, limits.authority, 'The authority')
  const path = yield * readText(source, limits.path, 'The path')
  checkRequestControl(method, scheme, authority, path)
  const headers = yield * readFields(source, known, limits)
  const head = { method, scheme, authority, path, headers }
  if (!known) {
    yield { type: 'request', head, contentLength: undefined }
    return yield * readBody(source, known, limits)
  }
  const contentLength = yield * readSectionLength(source)
  if (contentLength > Number.MAX_SAFE_INTEGER) throw tooLarge('The content')
  yield { type: 'request', head, contentLength }
  yield * readBody(source, known, limits, contentLength)
}

function * readResponse (source: Source, limits: BhttpLimits): Steps<BhttpResponseEvent> {
  const framing = source.takeVarint() ?? (yield * waitVarint(source))
  if (framing !== 1 && framing !== 3) throw malformed('The framing indicator is not one of a response')
  const known = framing === 1
  for (let informational = 0; ; informational++) {
    const status = source.takeVarint() ?? (yield * waitVarint(source))
    const final = !isInformational(status)
    if (final) checkFinalStatus(status)
    else if (informational === limits.informational) throw tooLarge('The number of informational responses')
    const headers = yield * readFields(source, known, limits, final)
    yield { type: final ? 'response' : 'informational', head: { status, headers } }
    if (final) break
  }
  yield * readBody(source, known, limits)
}

function * readBody (
  source: Source, known: boolean, limits: BhttpLimits, firstLength?: number
): Steps<BhttpContent | BhttpTrailers> {
  // Only in front of the first chunk may the message end: after it, the terminator is due.
  let length = firstLength ?? (yield * readSectionLength(source))
  while (length !== 0) {
    yield * readContent(source, length)
    length = known ? 0 : source.takeVarint() ?? (yield * waitVarint(source))
  }
  const fields = yield * readFields(source, known, limits)
  if (fields.length > 0) yield { type: 'trailers', fields }
  yield * readPadding(source, limits)
}

function * readContent (source: Source, length: number): Steps<BhttpContent> {
  if (length > Number.MAX_SAFE_INTEGER) throw tooLarge('The content')
  for (let left = length; left > 0;) {
    const bytes = source.takeSome(left)
    if (bytes === undefined) {
      if (source.ended) throw truncated()
      yield
      continue
    }
    left -= bytes.length
    yield { type: 'content', bytes }
  }
}

/**
 * A field section: with its length in front, or line by line up to a zero. An empty one may be missing at the end of
 * the message where `omissible`.
 */
function * readFields (
  source: Source, known: boolean, limits: BhttpLimits, omissible = true
): Steps<never, readonly Field[]> {
  const first = omissible
    ? yield * readSectionLength(source)
    : source.takeVarint() ?? (yield * waitVarint(source))
  if (first === 0) return []
  if (known) {
    if (first > limits.fieldSection) throw tooLarge('A field section')
    return parseFields(source.take(first) ?? (yield * wait(source, first)), limits)
  }
  const fields: Field[] = []
  let size = 0
  for (let nameLength = first; nameLength !== 0;) {
    const name = yield * readExactly(source, nameLength, limits.fieldName, 'A field name')
    const value = yield * readText(source, limits.fieldValue, 'A field value')
    size += name.length + value.length
    if (size > limits.fieldSection) throw tooLarge('A field section')
    addField(fields, name, value, limits)
    nameLength = source.takeVarint() ?? (yield * waitVarint(source))
  }
  return fields
}

function parseFields (section: Uint8Array, limits: BhttpLimits): readonly Field[] {
  const source = new ByteQueue()
  source.push(section)
  const fields: Field[] = []
  const text = (length: number | undefined, limit: number, what: string): string => {
    if (length !== undefined && length > limit) throw tooLarge(what)
    const bytes = length === undefined ? undefined : source.take(length)
    if (bytes === undefined) throw malformed('A field line does not fit into its section')
    return decodeLatin1(bytes)
  }
  while (source.length > 0) {
    const name = text(source.takeVarint(), limits.fieldName, 'A field name')
    const value = text(source.takeVarint(), limits.fieldValue, 'A field value')
    addField(fields, name, value, limits)
  }
  return fields
}

function addField (fields: Field[], name: string, value: string, limits: BhttpLimits): void {
  if (fields.length === limits.fields) throw tooLarge('The number of fields')
  checkField(name, value)
  fields.push([name, value])
}

function * readPadding (source: Source, limits: BhttpLimits): Steps<never> {
  for (let seen = 0; ;) {
    const bytes = source.takeSome(Infinity)
    if (bytes === undefined) {
      if (source.ended) return
      yield
      continue
    }
    seen += bytes.length
    if (seen > limits.padding) throw tooLarge('The padding')
    if (bytes.some(octet => octet !== 0)) throw malformed('The padding is not zero')
  }
}

function * readText (source: Source, limit: number, what: string): Steps<never, string> {
  return yield * readExactly(source, source.takeVarint() ?? (yield * waitVarint(source)), limit, what)
}

function * readExactly (source: Source, length: number, limit: number, what: string): Steps<never, string> {
  if (length > limit) throw tooLarge(what)
  return decodeLatin1(source.take(length) ?? (yield * wait(source, length)))
}

/** A length that may be left out, as zero, where the message ends in front of it. */
function * readSectionLength (source: Source): Steps<never, number> {
  while (source.length === 0) {
    if (source.ended) return 0
    yield
  }
  return source.takeVarint() ?? (yield * waitVarint(source))
}

function * waitVarint (source: Source): Steps<never, number> {
  for (;;) {
    if (source.ended) throw truncated()
    yield
    const value = source.takeVarint()
    if (value !== undefined) return value
  }
}

function * wait (source: Source, length: number): Steps<never, Uint8Array> {
  for (;;) {
    if (source.ended) throw truncated()
    yield
    const bytes = source.take(length)
    if (bytes !== undefined) return bytes
  }
}

function truncated (): BhttpError {
  return new BhttpError('ERR_BHTTP_TRUNCATED', 'The message ends too early')
}
