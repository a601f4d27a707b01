/** Opens EHBP requests into exchanges: the head is that of a plain request, the body is opened frame by frame. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createRecipientFactory } from '../../hpke/recipient.ts'
import type { Recipient } from '../../hpke/recipient.ts'
import { askingForIdentity } from '../../http/headers.ts'
import { announcedLength, hasBody } from '../../http/incoming.ts'
import type { IncomingRequest } from '../../http/incoming.ts'
import { Problem } from '../../http/problems.ts'
import { DecapsulationError } from '../../hpke/kem.ts'
import type { HpkeRing } from '../../keys/hpke/ring.ts'
import { EMPTY } from '../../protocols/bytes.ts'
import { EHBP_SUITE, ENC_BYTES, ENC_HEADER, REQUEST_INFO } from '../../protocols/ehbp.ts'
import { DIGEST_BYTES, ReplayStoreError } from '../../replay/store.ts'
import type { ReplayStore } from '../../replay/store.ts'
import { arrived } from '../../streams/arrived.ts'
import type { ByteBudget } from '../../streams/budget.ts'
import { HIGH_WATER_MARK } from '../../streams/convert.ts'
import type { Exchange } from '../exchange.ts'
import { openPlain } from '../plain.ts'
import { createFrameReader } from './frames.ts'
import type { Frame, FrameReader } from './frames.ts'
import { sealResponse } from './response.ts'

export interface EhbpOptions {
  /** As of plain requests. */
  readonly contextRoot: string
  readonly own: ReadonlySet<string>
  /** Largest ciphertext of a frame: it is held until its tag was checked. */
  readonly maxFrameBytes: number
  /** How long the replay store remembers at least, in milliseconds. */
  readonly remember: number
  readonly now?: () => number
}

/** Requests do not say which key they are for: so many are tried, and no more. */
const MOST_KEYS = 8
/** Larger frames are opened in steps. */
const LARGE_BYTES = 256 * 1024
/** So many frames are opened without a break: they may be as small as a tag, and each takes some µs. */
const FRAMES_AT_ONCE = 64

const createRecipient = createRecipientFactory(EHBP_SUITE, REQUEST_INFO)

interface Opened {
  readonly recipient: Recipient
  readonly plaintext: Buffer
}

/**
 * @throws {Problem} from the opener, in one form for everything that cannot be opened, except for what the client can
 *   fix
 */
export function createEhbpOpener (ring: HpkeRing, replays: ReplayStore, budget: ByteBudget, options: EhbpOptions) {
  const { contextRoot, own, maxFrameBytes, remember, now = Date.now } = options

  return async function open (request: IncomingRequest): Promise<Exchange> {
    if (!ring.isReady) throw new Problem('not-ready')
    const exchange = openPlain(request, { contextRoot, own })
    const enc = parseEnc(request)
    if (enc === undefined || !hasBody(request)) throw new Problem('cannot-open')
    const whole = await arrived(request.payload, announcedLength(request))
    const source = whole === undefined ? request.payload.iterator({ destroyOnReturn: false }) : asyncOf(whole)
    const frames = createFrameReader(source, budget, maxFrameBytes)
    const { recipient, plaintext } = await openNew(enc, frames)
    return {
      ...exchange,
      protocol: 'ehbp',
      // A body that is encrypted shows its length: compressed, that would tell of its content. And clients undo the
      // coding that the head names before they decrypt.
      headers: askingForIdentity(exchange.headers),
      ...await bodyOf(recipient, plaintext, frames, whole !== undefined),
      seal: response => sealResponse(response, recipient, enc),
      showsPieces: true
    }
  }

  async function openNew (enc: Uint8Array, frames: FrameReader): Promise<Opened> {
    try {
      const opened = await openFirst(enc, frames)
      await admit(enc)
      return opened
    } catch (error) {
      frames.stop()
      throw error
    }
  }

  /** The first frame proves that the request was made for one of our keys, and which. */
  async function openFirst (enc: Uint8Array, frames: FrameReader): Promise<Opened> {
    const frame = await frames.next()
    if (frame === undefined) throw new Problem('cannot-open')
    try {
      let tried = 0
      for (const { secret, notAfter } of ring.decapsulateByEach(EHBP_SUITE.kemId, enc)) {
        if (tried++ === MOST_KEYS) break
        const recipient = createRecipient(secret)
        const plaintext = await openFrame(recipient, frame)
        if (plaintext === undefined) continue
        // A key that stays for longer than its requests are remembered protects none of them: it may have no successor.
        if (notAfter - now() > remember) throw new Problem('replay-store')
        return { recipient, plaintext }
      }
    } catch (cause) {
      throw cause instanceof DecapsulationError ? new Problem('cannot-open', { cause }) : cause
    } finally {
      frame.release()
    }
    throw new Problem('ehbp-key')
  }

  async function admit (enc: Uint8Array): Promise<void> {
    try {
      if (await replays.admit(replayDigest(enc))) return
    } catch (cause) {
      throw cause instanceof ReplayStoreError ? new Problem('replay-store', { cause }) : cause
    }
    throw new Problem('cannot-open')
  }
}

/** undefined if it is not of this key, or was changed. */
async function openFrame (recipient: Recipient, { ciphertext }: Frame): Promise<Buffer | undefined> {
  try {
    return ciphertext.length > LARGE_BYTES ? await recipient.openLong(ciphertext) : recipient.open(ciphertext, EMPTY)
  } catch {
    return undefined
  }
}

/**
 * Opened as it arrives. If all of it is there already, a workload is told its length; what is wrong with it is answered
 * sealed.
 */
async function bodyOf (
  recipient: Recipient, first: Buffer, frames: FrameReader, whole: boolean
): Promise<Pick<Exchange, 'body' | 'bodyLength' | 'refusal'>> {
  const plaintexts = openRest(recipient, first, frames)
  if (!whole) {
    const body = Readable.from(plaintexts, { objectMode: false, highWaterMark: HIGH_WATER_MARK })
    // It may fail before anyone reads it: a reader that comes later finds that in the stream.
    body.on('error', () => undefined)
    return { body, bodyLength: undefined }
  }
  try {
    const body = Buffer.concat(await Array.fromAsync(plaintexts))
    return { body, bodyLength: body.length }
  } catch (error) {
    if (error instanceof Problem) return { body: undefined, bodyLength: undefined, refusal: error }
    throw error
  }
}

async function * openRest (
  recipient: Recipient, first: Buffer, frames: FrameReader
): AsyncGenerator<Buffer, void, void> {
  try {
    // A stream takes an empty piece for nothing, and may wait for another.
    if (first.length > 0) yield first
    for (let count = 1; ; count++) {
      if (count % FRAMES_AT_ONCE === 0) await setImmediate()
      const frame = await frames.next()
      if (frame === undefined) return
      try {
        const plaintext = await openFrame(recipient, frame)
        if (plaintext === undefined) throw new Problem('cannot-open')
        if (plaintext.length > 0) yield plaintext
      } finally {
        frame.release()
      }
    }
  } finally {
    frames.stop()
  }
}

/** One form only: a request that could be written in two ways could be sent twice. */
function parseEnc ({ headers }: IncomingRequest): Uint8Array | undefined {
  const value = headers[ENC_HEADER]
  return typeof value === 'string' && value.length === 2 * ENC_BYTES && /^[0-9a-f]+$/.test(value)
    ? Buffer.from(value, 'hex')
    : undefined
}

/** Not that of an OHTTP request with the same encapsulated key, which is another request. */
function replayDigest (enc: Uint8Array): Buffer {
  return createHash('sha256').update('ehbp request\n').update(enc).digest().subarray(0, DIGEST_BYTES)
}

async function * asyncOf (piece: Buffer): AsyncGenerator<Buffer, undefined, void> {
  yield piece
  return undefined
}
