/**
 * The HPKE keys of the gateway, and their rotation. Time is cut into epochs of one rotation; each has one key pair per
 * KEM, made from that epoch's secret. A key is pending in the epoch before its own, active in it, and retiring for a
 * while after; then it is forgotten.
 *
 *     epoch e - 1 | epoch e                        | epoch e + 1
 *     pending     | active: clients encrypt to it  | retiring for the retirement time, then gone
 */
import { deriveKemKeyPair } from '../../hpke/kem.ts'
import type { KemKeyPair } from '../../hpke/kem.ts'
import { encodeKeyConfigs } from '../../protocols/ohttp/key-config.ts'
import {
  AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, KDF_HKDF_SHA256
} from '../../protocols/ohttp/suites.ts'
import { OhttpError } from '../../protocols/ohttp/ohttp.ts'
import type { RequestHeader } from '../../protocols/ohttp/ohttp.ts'

/** Secret input for the keys of an epoch: at least 32 bytes, the same wherever the keys have to be the same. */
export interface EpochSecrets {
  /** Asked for in ascending order of epochs; each epoch once. The caller wipes it. */
  secret (epoch: number): Uint8Array | Promise<Uint8Array>
  /** The first epoch that can be asked for; undefined for any. Older keys were never handed out, or are gone. */
  readonly earliest: number | undefined
  /** The first epoch whose secret is not gone, at present; undefined where none goes. */
  readonly oldest?: number | undefined
  /**
   * Added to key ids, 0 to 255; the same wherever the keys are the same. Ids follow the epochs and begin again after
   * 255: the settings see to it that a key is forgotten long before another has its id.
   */
  readonly firstKeyId: number
}

export type HpkeKeyState = 'pending' | 'active' | 'retiring'

/** What may be told of a key. Times are in milliseconds since 1970; Infinity where keys are not rotated. */
export interface HpkeKeyInfo {
  readonly keyId: number
  readonly kemId: number
  readonly state: HpkeKeyState
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKey: Uint8Array
}

export interface DecapsulatedSecret extends Pick<HpkeKeyInfo, 'notAfter'> {
  readonly secret: Uint8Array
}

export interface HpkeRing {
  /** Resolves once all keys are there that clients may hold. */
  readonly ready: Promise<void>
  readonly isReady: boolean
  keys (): readonly HpkeKeyInfo[]
  /** The active keys as application/ohttp-keys, preferred KEM first, and for how many seconds that is good. */
  publication (): { readonly octets: Uint8Array, readonly maxAge: number }
  /** @throws {OhttpError} ERR_OHTTP_KEY  @throws {DecapsulationError} */
  decapsulate (header: RequestHeader, enc: Uint8Array): Uint8Array
  /**
   * The shared secret of enc under each key of a KEM, one after the other: that of the active key first, then the
   * newest. For messages that name no key.
   *
   * @throws {DecapsulationError}
   */
  decapsulateByEach (kemId: number, enc: Uint8Array): Iterable<DecapsulatedSecret>
  /** Called after each rotation, once its keys are active. */
  onRotation (listener: () => void): void
  close (): void
}

export interface HpkeRingOptions {
  /** Length of an epoch in milliseconds; 0 keeps the first keys for ever. */
  readonly rotation: number
  /** How long a key stays usable after its epoch, in milliseconds. */
  readonly retirement: number
  /** The KEMs to offer, preferred first. */
  readonly kemIds: readonly number[]
  readonly secrets: EpochSecrets
  /** Told of rotations that failed; they are tried again. */
  readonly onError?: (error: unknown) => void
  readonly now?: () => number
}

interface Epoch {
  readonly number: number
  readonly pairs: readonly { readonly keyId: number, readonly pair: KemKeyPair }[]
}

/** Clients come back for keys at least this often, so that a rotation ahead of time reaches them. */
const MAX_AGE_SECONDS = 3600
/** What every key is offered with, preferred first. */
const SUITES = [AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305].map(aeadId => ({
  kdfId: KDF_HKDF_SHA256, aeadId
}))
const FIRST_RETRY_MS = 1000
const MAX_RETRY_MS = 30_000
/** Timers hold at most this. */
const MAX_TIMEOUT = 2 ** 31 - 1
const KEY_IDS = 256

/** The number of the epoch that a time falls into. */
export function epochAt (time: number, rotation: number): number {
  return rotation === 0 ? 0 : Math.floor(time / rotation)
}

export function createHpkeRing (options: HpkeRingOptions): HpkeRing {
  const { rotation, retirement, kemIds, secrets, now = Date.now } = options
  const listeners: (() => void)[] = []
  const endOf = (epoch: number) => rotation === 0 ? Infinity : (epoch + 1) * rotation
  const present = epochAt(now(), rotation)
  /** A process that starts among others has their retiring keys, too: clients hold them. */
  const wanted = Math.min(present, Math.max(secrets.earliest ?? 0, epochAt(now() - retirement, rotation)))
  /**
   * A clock that is set back asks for what is gone. The keys of the epoch that it left serve until it is there again.
   */
  const first = Math.max(secrets.oldest ?? 0, wanted)

  let retiring: readonly Epoch[] = []
  let active: Epoch | undefined
  let pending: Epoch | undefined
  let published: { octets: Uint8Array, epoch: number } | undefined
  let announced: number | undefined
  let failures = 0
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>()
  const endOfUse = (epoch: number) => endOf(epoch) + retirement
  /** Not while a process that has started catches up, and not once closed. */
  const serves = () => announced !== undefined && active !== undefined

  async function make (number: number): Promise<Epoch> {
    const secret = await secrets.secret(number)
    const pairs = kemIds.map((kemId, i) => ({
      keyId: (secrets.firstKeyId + number * kemIds.length + i) % KEY_IDS, pair: deriveKemKeyPair(kemId, secret)
    }))
    secret.fill(0)
    return { number, pairs }
  }

  /** Moves to the epoch of the present: what was prepared becomes active at once, the next is prepared behind it. */
  async function advance (): Promise<void> {
    const current = epochAt(now(), rotation)
    // One by one, since secrets come in order: after a start or a long sleep there may be several to catch up with.
    while (active === undefined || active.number < current) {
      const number: number = active === undefined ? first : active.number + 1
      const next = pending?.number === number ? pending : await make(number)
      if (closed) return
      if (active !== undefined) retiring = [...retiring, active]
      active = next
      pending = undefined
    }
    // Others with the same keys may publish the next one any moment: a process that starts has it before it serves.
    // If it cannot be made, that is no reason not to.
    try {
      if (announced === undefined) await prepare(active.number + 1)
    } finally {
      if (!closed) announce(active.number)
    }
    if (closed) return
    retiring = retiring.filter(({ number }) => now() < endOfUse(number))
    await prepare(active.number + 1)
  }

  function announce (number: number): void {
    if (announced === number) return
    announced = number
    becomeReady()
    for (const listener of listeners) listener()
  }

  async function prepare (number: number): Promise<void> {
    if (rotation === 0 || pending !== undefined) return
    const next = await make(number)
    if (!closed) pending = next
  }

  function schedule (): void {
    if (closed || active === undefined) return
    const next = Math.min(endOf(active.number), ...retiring.map(({ number }) => endOfUse(number)))
    if (next === Infinity) return
    timer = setTimeout(step, Math.min(MAX_TIMEOUT, Math.max(1, next - now())))
    timer.unref()
  }

  async function step (): Promise<void> {
    try {
      await advance()
      failures = 0
      schedule()
    } catch (error) {
      if (closed) return
      options.onError?.(error)
      timer = setTimeout(step, Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures++))
      timer.unref()
    }
  }

  function * all (): Generator<{ epoch: Epoch, state: HpkeKeyState }> {
    if (active !== undefined) yield { epoch: active, state: 'active' }
    if (pending !== undefined) yield { epoch: pending, state: 'pending' }
    for (const epoch of retiring.toReversed()) if (now() < endOfUse(epoch.number)) yield { epoch, state: 'retiring' }
  }

  step()

  return {
    ready,
    get isReady () { return serves() },

    keys: () => [...all()].flatMap(({ epoch: { number, pairs }, state }) => pairs.map(({ keyId, pair }) => ({
      keyId,
      kemId: pair.kemId,
      state,
      notBefore: endOf(number - 1),
      notAfter: endOfUse(number),
      publicKey: pair.publicKey
    }))),

    publication () {
      if (active === undefined || !serves()) throw new OhttpError('ERR_OHTTP_KEY')
      if (published?.epoch !== active.number) {
        published = {
          epoch: active.number,
          octets: encodeKeyConfigs(active.pairs.map(({ keyId, pair }) =>
            ({ keyId, kemId: pair.kemId, publicKey: pair.publicKey, suites: SUITES })))
        }
      }
      const left = Math.max(0, Math.floor((endOfUse(active.number) - now()) / 1000))
      return { octets: published.octets, maxAge: Math.min(MAX_AGE_SECONDS, left) }
    },

    decapsulate (header, enc) {
      for (const { epoch } of all()) {
        for (const { keyId, pair } of epoch.pairs) {
          if (keyId === header.keyId && pair.kemId === header.kemId) return pair.decapsulate(enc)
        }
      }
      throw new OhttpError('ERR_OHTTP_KEY')
    },

    * decapsulateByEach (kemId, enc) {
      for (const { epoch: { number, pairs } } of all()) {
        for (const { pair } of pairs) {
          if (pair.kemId === kemId) yield { secret: pair.decapsulate(enc), notAfter: endOfUse(number) }
        }
      }
    },

    onRotation (listener) { listeners.push(listener) },

    close () {
      closed = true
      clearTimeout(timer)
      retiring = []
      active = pending = undefined
    }
  }
}
