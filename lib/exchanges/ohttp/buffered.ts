/**
 * OHTTP as in RFC 9458: one tag covers all of a message, so it is held as a whole, each way, and is bounded. Larger
 * bodies are what the chunked form is for.
 */
import { setImmediate } from 'node:timers/promises'
import { Readable } from 'node:stream'
import { announcedLength } from '../../http/incoming.ts'
import type { IncomingRequest } from '../../http/incoming.ts'
import { Problem } from '../../http/problems.ts'
import { workloadProblem } from '../../http/workload-problem.ts'
import { encodeResponseStart, encodeResponse, paddingLength } from '../../protocols/bhttp/writer.ts'
import { RESPONSE_MEDIA_TYPE } from '../../protocols/ohttp/ohttp.ts'
import { arrived } from '../../streams/arrived.ts'
import type { BudgetAccount, ByteBudget } from '../../streams/budget.ts'
import { createCollector } from '../../streams/collector.ts'
import { OwnedStream, free, own } from '../../streams/owned.ts'
import type { Owned } from '../../streams/owned.ts'
import type { PlainResponse, SealedResponse } from '../exchange.ts'
import { readRequest } from './inner-request.ts'
import { readInner } from './opened-message.ts'
import type { OpenedMessage } from './opened-message.ts'
import { openRequest } from './request.ts'
import type { Decapsulate, OpenedRequest } from './request.ts'
import { announcedContent, headOf, valid } from './response-head.ts'

export interface BufferedOptions {
  /** Of a message, sealed or not. */
  readonly maxBytes: number
  readonly padTo: number
}

/** Larger messages are not joined in one turn of the event loop with anything else. */
const LARGE_BYTES = 256 * 1024

/**
 * @throws {OhttpError} as `openRequest`
 * @throws {Problem} body-too-large, overloaded
 */
export async function openBuffered (
  request: IncomingRequest, decapsulate: Decapsulate, budget: ByteBudget, options: BufferedOptions
): Promise<OpenedMessage> {
  const account = budget.open()
  const responses = budget.open()
  try {
    const opened = await open(request, account, options.maxBytes, decapsulate)
    if (isLarge(opened.request)) await setImmediate()
    return {
      header: opened.header,
      enc: opened.enc,
      inner: await readInner(readRequest([opened.request])),
      seal: response => seal(response, opened, responses, options),
      release () {
        account.release()
        responses.release()
      }
    }
  } catch (error) {
    account.release()
    throw error
  }
}

/** When all of the message is there: from the stream, if it is already; otherwise as it arrives. */
async function open (
  { payload, headers }: IncomingRequest, account: BudgetAccount, maxBytes: number, decapsulate: Decapsulate
): Promise<OpenedRequest> {
  const announced = announcedLength({ headers })
  if (announced !== undefined && announced > maxBytes) throw new Problem('body-too-large')
  const whole = await arrived(payload, announced)
  if (whole !== undefined) {
    account.hold(whole.length)
    return openRequest(whole, decapsulate)
  }
  const collector = createCollector(maxBytes, bytes => account.hold(bytes))
  for await (const piece of account.arriving(payload)) {
    if (collector.length + piece.length > maxBytes) throw new Problem('body-too-large')
    collector.push(piece)
  }
  const message = joined(collector.blocks(), collector.length)
  if (isLarge(message)) await setImmediate()
  const opened = await openRequest(message, decapsulate)
  free(message)
  return opened
}

/** The workload's response, sealed when all of it is there; the proxy's own as well. */
async function seal (
  response: PlainResponse, { sealResponse }: OpenedRequest, account: BudgetAccount, options: BufferedOptions
): Promise<SealedResponse> {
  const message = await encode(response, account, options)
  if (isLarge(message)) await setImmediate()
  const parts = await sealResponse(message)
  free(message)
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return {
    status: 200,
    headers: {
      'content-type': RESPONSE_MEDIA_TYPE, 'cache-control': 'no-store, no-transform', 'content-length': String(length)
    },
    body: length > LARGE_BYTES ? OwnedStream.of(parts) : Buffer.concat(parts, length)
  }
}

/** A whole Binary HTTP response, known length. @throws {Problem} response-too-large, upstream-…, overloaded */
async function encode (
  response: PlainResponse, account: BudgetAccount, { maxBytes, padTo }: BufferedOptions
): Promise<Owned> {
  const announced = announcedContent(response)
  if (announced !== undefined && announced > maxBytes) throw new Problem('response-too-large')
  const { body } = response
  const content = body instanceof Readable
    ? await arrived(body, announced) ?? await collect(body, account, maxBytes, announced)
    : [own(Buffer.from(body ?? ''))]
  if (!Array.isArray(content)) return own(valid(() => encodeResponse(headOf(response), { content, padTo })))
  const length = content.reduce((sum, piece) => sum + piece.length, 0)
  if (length <= LARGE_BYTES) {
    return own(valid(() => encodeResponse(headOf(response), { content: joined(content, length), padTo })))
  }
  const start = valid(() => encodeResponseStart(headOf(response), length))
  const unpadded = start.length + length
  return joined([own(start), ...content], unpadded + paddingLength(unpadded, padTo))
}

async function collect (
  body: Readable, account: BudgetAccount, maxBytes: number, announced: number | undefined
): Promise<Owned[]> {
  const collector = createCollector(maxBytes, bytes => account.hold(bytes))
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      if (collector.length + piece.length > maxBytes) throw new Problem('response-too-large')
      collector.push(piece)
    }
  } catch (error) {
    // Nothing was sent yet, so a workload that broke off gets an answer of its own.
    throw error instanceof Problem || !(error instanceof Error) ? error : workloadProblem(error)
  }
  if (announced !== undefined && collector.length !== announced) throw new Problem('upstream-invalid')
  return collector.blocks()
}

/** In one piece of this length, the rest of which is zeros. Frees the pieces. */
function joined (pieces: readonly Owned[], length: number): Owned {
  const whole = own(Buffer.concat(pieces, length))
  for (const piece of pieces) free(piece)
  return whole
}

/** Others have a turn between the steps of the work on such a message. */
function isLarge ({ length }: Uint8Array): boolean {
  return length > LARGE_BYTES
}
