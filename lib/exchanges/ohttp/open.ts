/** Opens OHTTP requests, one-shot and chunked, into exchanges whose responses go back encapsulated. */
import { METHODS } from 'node:http'
import { Readable } from 'node:stream'
import { arrived } from '../../streams/arrived.ts'
import type { ByteBudget } from '../../streams/budget.ts'
import type { Exchange, PlainResponse, SealedResponse } from '../exchange.ts'
import { openedHeaders } from '../../http/headers.ts'
import type { ResponseHeaders } from '../../http/headers.ts'
import type { HpkeRing } from '../../keys/hpke/ring.ts'
import { openArrivingRequest, openChunkedRequest, openChunks, openRequest } from './gateway.ts'
import type { Decapsulate } from './gateway.ts'
import { readRequest, readRequestPieces, readRequestStream } from './inner.ts'
import type { InnerRequest } from './inner.ts'
import { Problem } from '../../http/problems.ts'
import type { ProblemCode } from '../../http/problems.ts'
import { BhttpError } from '../../protocols/bhttp/bhttp.ts'
import type { RequestHead } from '../../protocols/bhttp/bhttp.ts'
import { CHUNKED_RESPONSE_MEDIA_TYPE, OhttpError, RESPONSE_MEDIA_TYPE } from '../../protocols/ohttp/ohttp.ts'
import { ReplayStoreError, replayDigest } from '../../replay/store.ts'
import type { ReplayStore } from '../../replay/store.ts'
import { inBlocks } from '../../streams/blocks.ts'
import { announcedLength } from '../../http/incoming.ts'
import type { IncomingRequest } from '../../http/incoming.ts'
import { encodeWhole, sealStream } from './seal.ts'

export interface OhttpOptions {
  /** Lower-case names of the proxy's own headers. */
  readonly own: ReadonlySet<string>
  /** Empty: all are. */
  readonly allowedAuthorities: ReadonlySet<string>
  /** How far the client's Date may be off, either way, in milliseconds. */
  readonly replayWindow: number
  readonly maxBodyBytes: number
  /** Sealed responses are padded to multiples of this; 0 for not at all. */
  readonly padding: number
  readonly now?: () => number
}

export interface OhttpGateway {
  /**
   * @throws {Problem} ohttp-key, date, cannot-open, body-too-large, overloaded: what is found before the request is
   * known to be authentic and fresh. All else is answered inside.
   */
  open (request: IncomingRequest, form: OhttpForm): Promise<Exchange>
}

/** A Date has whole seconds: half of one either way is rounding. In milliseconds. */
const DATE_ROUNDING = 500

/** A store may answer late, after the date was checked, and clocks of replicas that share it may differ. In milliseconds. */
const REMEMBER_MARGIN = 30_000

/** How long a request has to be remembered: its Date is acceptable from one window before it to one window after. */
export function rememberFor (replayWindow: number): number {
  return 2 * (replayWindow + DATE_ROUNDING) + REMEMBER_MARGIN
}

/** RFC 9458, or its chunked extension. */
export type OhttpForm = 'ohttp' | 'ohttp-chunked'

/** Never cached, never held back: each chunk is for the client at once. */
const OUTER_HEADERS: Record<OhttpForm, ResponseHeaders> = {
  ohttp: { 'content-type': RESPONSE_MEDIA_TYPE, 'cache-control': 'no-store' },
  'ohttp-chunked': { 'content-type': CHUNKED_RESPONSE_MEDIA_TYPE, 'cache-control': 'no-store', incremental: '?1', 'x-accel-buffering': 'no' }
}

/** The request as far as it has been read: its head, and a way to the rest. */
interface OpenedMessage {
  readonly keyId: number
  readonly enc: Uint8Array
  /** Undefined where what was inside is no HTTP request. */
  readonly head: RequestHead | undefined
  readonly body: Readable | Buffer | undefined
  readonly bodyLength: number | undefined
  readonly seal: (response: PlainResponse) => SealedResponse | Promise<SealedResponse>
  readonly release?: () => void
}

export function createOhttpGateway (ring: HpkeRing, replays: ReplayStore, budget: ByteBudget, options: OhttpOptions): OhttpGateway {
  const { own, allowedAuthorities, replayWindow, now = Date.now } = options
  const decapsulate: Decapsulate = (header, enc) => ring.decapsulate(header, enc)

  async function open (request: IncomingRequest, form: OhttpForm): Promise<Exchange> {
    try {
      const opened = form === 'ohttp' ? await openWhole(request) : await openChunked(request)
      try {
        const date = opened.head === undefined ? undefined : checkDate(opened.head)
        if (!await replays.admit(replayDigest(opened.keyId, opened.enc), date)) throw new Problem('cannot-open')
        return toExchange(form, request, opened)
      } catch (error) {
        opened.release?.()
        stop(opened.body)
        throw error
      }
    } catch (error) {
      throw refusal(error)
    }
  }

  /** Everything from here on is answered inside: a request that is refused becomes an exchange with only the way back. */
  function toExchange (form: OhttpForm, request: IncomingRequest, { head, body, bodyLength, seal, release }: OpenedMessage): Exchange {
    const exchange = { protocol: form, seal, ...(release !== undefined && { release }) }
    const refusal = refuse(head, body)
    if (head === undefined || refusal !== undefined) {
      stop(body)
      return { ...exchange, method: head?.method ?? 'GET', target: '/', headers: [], body: undefined, bodyLength: undefined, refusal: refusal ?? new Problem('bad-request') }
    }
    return {
      ...exchange,
      method: head.method,
      target: head.path,
      headers: [...openedHeaders(head.headers, own), ...request.forwarding()],
      body,
      bodyLength
    }
  }

  function refuse (head: RequestHead | undefined, body: OpenedMessage['body']): Problem | undefined {
    if (head === undefined || !head.path.startsWith('/') || !METHODS.includes(head.method) || head.method === 'CONNECT') return new Problem('bad-request')
    if (allowedAuthorities.size > 0 && !allowedAuthorities.has(authorityOf(head))) return new Problem('misdirected')
    if (body !== undefined && (head.method === 'GET' || head.method === 'HEAD')) return new Problem('body-not-allowed')
    return undefined
  }

  function checkDate ({ headers }: RequestHead): number {
    const date = headers.find(([name]) => name === 'date')?.[1]
    // The one form that names no zone (RFC 9110, section 5.6.7) is of the same as the others, not of the machine's.
    const time = date === undefined ? NaN : Date.parse(date.endsWith('GMT') ? date : `${date} GMT`)
    if (!(Math.abs(time - now()) <= replayWindow + DATE_ROUNDING)) throw new Problem('date')
    return time
  }

  async function openWhole (request: IncomingRequest): Promise<OpenedMessage> {
    const { maxBodyBytes } = options
    const announced = announcedLength(request)
    if (announced !== undefined && announced > maxBodyBytes) throw new Problem('body-too-large')
    const account = openAccount(budget, maxBodyBytes, 'body-too-large')
    try {
      const opened = await openOneShot(request, account.hold)
      const { head, body, bodyLength } = await read(opened.read)
      const responses = openAccount(budget, maxBodyBytes, 'upstream-invalid')
      return {
        keyId: opened.header.keyId,
        enc: opened.enc,
        head,
        body,
        bodyLength,
        release () {
          account.release()
          responses.release()
        },
        async seal (response) {
          const message = await encodeWhole(response, { maxBytes: maxBodyBytes, hold: responses.hold, padTo: options.padding })
          if (message instanceof Uint8Array) return { status: 200, headers: OUTER_HEADERS.ohttp, body: opened.sealResponse(message) }
          return {
            status: 200,
            headers: { ...OUTER_HEADERS.ohttp, 'content-length': String(message.length + opened.overhead) },
            body: Readable.from(opened.sealResponsePieces(message.pieces), { objectMode: false })
          }
        }
      }
    } catch (error) {
      account.release()
      throw error
    }
  }

  /** A one-shot message: at once where it is there already, otherwise as it arrives. `hold` is told of every octet of it. */
  async function openOneShot (request: IncomingRequest, hold: (bytes: number) => void) {
    const whole = await arrived(request.payload, announcedLength(request))
    if (whole !== undefined) {
      hold(whole.length)
      const opened = await openRequest(whole, decapsulate)
      return { ...opened, read: () => readRequest([opened.request]) }
    }
    const opened = await openArrivingRequest(held(inBlocks(request.payload), hold), decapsulate)
    return { ...opened, read: () => readRequestPieces(opened.pieces) }
  }

  async function openChunked (request: IncomingRequest): Promise<OpenedMessage> {
    const opened = await openStream(request)
    const { head, body, bodyLength } = await read(opened.read)
    return {
      keyId: opened.header.keyId,
      enc: opened.enc,
      head,
      body,
      bodyLength,
      seal: async (response) => ({
        status: 200,
        headers: OUTER_HEADERS['ohttp-chunked'],
        body: await sealStream(response, opened.createResponseSealer(), options.padding)
      })
    }
  }

  /** A chunked message: at once where it is there already, otherwise as far as it has to be for its head. */
  async function openStream (request: IncomingRequest) {
    const whole = await arrived(request.payload, announcedLength(request))
    if (whole !== undefined) {
      const opened = await openChunks(whole, decapsulate)
      return { ...opened, read: () => readRequest(opened.pieces) }
    }
    const opened = await openChunkedRequest(request.payload, decapsulate)
    return { ...opened, read: () => readRequestStream(request.payload, opened) }
  }

  return { open }
}

/** Nobody will read it. */
function stop (body: OpenedMessage['body']): void {
  if (body instanceof Readable) body.destroy()
}

/** The first authority that a request names, in lower case. */
function authorityOf ({ authority, headers }: RequestHead): string {
  return (authority || (headers.find(([name]) => name === 'host')?.[1] ?? '')).toLowerCase()
}

/** The same pieces, after `hold` was told of each. */
async function * held (pieces: AsyncIterable<Buffer>, hold: (bytes: number) => void): AsyncGenerator<Buffer, void, void> {
  for await (const piece of pieces) {
    hold(piece.length)
    yield piece
  }
}

interface Account {
  /** @throws {Problem} `excess`, where it would be more than `most` together; overloaded */
  readonly hold: (bytes: number) => void
  readonly release: () => void
}

/** What one message holds of the budget. */
function openAccount (budget: ByteBudget, most: number, excess: ProblemCode): Account {
  let held = 0
  let released = false
  return {
    hold (bytes) {
      if (held + bytes > most) throw new Problem(excess)
      // Once released, for a client that is gone, nobody would give back what is taken.
      if (released || !budget.take(bytes)) throw new Problem('overloaded')
      held += bytes
    },
    release () {
      released = true
      budget.give(held)
      held = 0
    }
  }
}

/** What is inside is authentic, so a message that is no HTTP request is answered inside: without head. */
async function read (message: () => InnerRequest | Promise<InnerRequest>): Promise<Partial<InnerRequest>> {
  try {
    return await message()
  } catch (error) {
    if (error instanceof BhttpError) return {}
    throw error
  }
}

/** What is wrong before the request is known to be authentic is told in one way, but for what the client can mend. */
function refusal (error: unknown): unknown {
  if (error instanceof OhttpError) return new Problem(error.code === 'ERR_OHTTP_KEY' ? 'ohttp-key' : 'cannot-open', { cause: error })
  if (error instanceof ReplayStoreError) return new Problem('replay-store', { cause: error })
  return error
}
