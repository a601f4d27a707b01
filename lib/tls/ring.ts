/**
 * TLS keys that are made here, and their rotation. Time is cut into epochs of one rotation; each has one P-256 key for
 * each source of secrets, made from that epoch's secret. Evidence covers a key for a while before it serves and after:
 *
 *     overlap before | epoch          | overlap after
 *     pending        | active: serves | retiring: connections that it began live on
 *
 * A pending key becomes active in its epoch, and not before evidence covers it: until then the one before it serves.
 */
import { createPublicKey } from 'node:crypto'
import { epochAt } from '../keys/hpke/ring.ts'
import type { AttestedKey } from '../protocols/attestation.ts'
import { selfSignedCertificate } from './certificate.ts'
import { pinOf } from './keys.ts'
import type { Credentials, ListedTlsKey, TlsKeys } from './keys.ts'
import { tlsKeyFrom } from './secrets.ts'
import type { TlsSource } from './secrets.ts'

export interface TlsRingOptions {
  /** Length of an epoch in milliseconds. */
  readonly rotation: number
  /** In milliseconds, less than `rotation`. */
  readonly overlap: number
  /** As of `selfSignedCertificate`. */
  readonly names: readonly string[]
  /** That of the key to serve first. */
  readonly sources: () => readonly TlsSource[]
  readonly onError: (error: unknown) => void
  /** A key serves from now on. */
  readonly onServe: (pin: string) => void
  readonly now?: () => number
}

interface TlsKey {
  readonly source: string
  readonly epoch: number
  readonly credentials: Credentials
  readonly attested: AttestedKey
  readonly publicKey: string
  /** Milliseconds since 1970 until which it stays covered, once it has served. */
  until: number
}

/** Neither clocks nor sources say when they change: they are looked at this often. */
const LOOK_MS = 250
/** After an error, so many looks are left out. */
const PAUSED_LOOKS = 20
/** Certificates are good for longer than they are used by this much, for clients whose clocks are off. */
const CLOCKS_MS = 86_400_000

export function createTlsRing (options: TlsRingOptions): TlsKeys {
  const { rotation, overlap, names, sources, onError, onServe, now = Date.now } = options
  const changed: (() => void)[] = []
  const activated: (() => void)[] = []
  let keys: readonly TlsKey[] = []
  let active: TlsKey | undefined
  let covers: (key: AttestedKey) => boolean = () => false
  let problem: string | undefined = 'making the key'
  let looking = false
  let paused = 0
  let timer: NodeJS.Timeout | undefined
  let closed = false

  async function make (source: TlsSource, epoch: number): Promise<TlsKey> {
    const secret = await source.secrets.secret(epoch)
    const key = tlsKeyFrom(secret)
    secret.fill(0)
    const publicKey = createPublicKey(key)
    const spki = Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }))
    const cert = selfSignedCertificate({
      key,
      names,
      notBefore: new Date(epoch * rotation - overlap - CLOCKS_MS),
      notAfter: new Date(endOf(epoch) + overlap + CLOCKS_MS)
    })
    return {
      source: source.id,
      epoch,
      credentials: { cert, key: key.export({ format: 'pem', type: 'pkcs8' }).toString(), pin: pinOf(spki) },
      attested: { kind: 'tls-spki', value: spki },
      publicKey: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
      until: 0
    }
  }

  function endOf (epoch: number): number {
    return (epoch + 1) * rotation
  }

  /** Of the present, and of the overlaps that it falls into; in ascending order, as secrets have to be asked for. */
  function epochsOf ({ id, secrets }: TlsSource): number[] {
    const time = now()
    const first = Math.max(secrets.earliest ?? 0, secrets.oldest ?? 0)
    const own = keys.filter(({ source }) => source === id).map(({ epoch }) => epoch)
    return [...new Set([time - overlap, time, time + overlap].map(when => Math.max(first, epochAt(when, rotation))))]
      // Not behind one that is there: its secret is gone.
      .filter(epoch => own.includes(epoch) || epoch > Math.max(-1, ...own))
  }

  async function look (): Promise<void> {
    const present = sources()
    const wanted: TlsKey[] = []
    for (const source of present) {
      for (const epoch of epochsOf(source)) {
        const known = keys.find(key => key.source === source.id && key.epoch === epoch)
        wanted.push(known ?? await make(source, epoch))
        if (closed) return
      }
    }
    const time = now()
    const before = keys
    keys = [...wanted, ...before.filter(key => !wanted.includes(key) && (key === active || key.until > time))]
    if (keys.some(key => !before.includes(key)) || before.some(key => !keys.includes(key))) tell(changed)
    serve(present[0]?.id, time)
  }

  function serve (source: string | undefined, time: number): void {
    const due = keys.filter(key => key.source === source && key.epoch * rotation <= time)
    const next = due.toSorted((a, b) => b.epoch - a.epoch)[0]
    if (next === undefined || next === active) return
    if (!covers(next.attested)) {
      problem = 'waiting for evidence that covers the key'
      return
    }
    if (active !== undefined) active.until = time + overlap
    active = next
    problem = undefined
    onServe(active.credentials.pin)
    tell(activated)
  }

  async function step (): Promise<void> {
    if (looking || closed || paused-- > 0) return
    looking = true
    try {
      paused = 0
      await look()
    } catch (error) {
      paused = PAUSED_LOOKS
      if (active === undefined) problem = 'the key could not be made; trying again'
      if (!closed) onError(error)
    } finally {
      looking = false
    }
  }

  function stateOf (key: TlsKey): ListedTlsKey['state'] {
    if (key === active) return 'active'
    return key.until === 0 && endOf(key.epoch) > now() ? 'pending' : 'retiring'
  }

  /** The one that serves first. */
  function inOrder (): readonly TlsKey[] {
    return [...active === undefined ? [] : [active], ...keys.filter(key => key !== active)]
  }

  // At once, so that the first evidence covers what there is.
  step()

  return {
    current: () => active?.credentials,
    problem: () => active === undefined ? problem : undefined,
    attested: () => inOrder().map(({ attested }) => attested),
    keys: () => inOrder().map(key => ({
      pin: key.credentials.pin,
      algorithm: 'P-256',
      state: stateOf(key),
      notBefore: new Date(key.epoch * rotation).toISOString(),
      notAfter: new Date(endOf(key.epoch) + overlap).toISOString(),
      publicKey: key.publicKey
    })),
    onChange (listener) { changed.push(listener) },
    onActive (listener) { activated.push(listener) },
    start (covered) {
      covers = covered
      timer = setInterval(step, LOOK_MS).unref()
      step()
    },
    close () {
      closed = true
      clearInterval(timer)
      keys = []
      active = undefined
    }
  }
}

function tell (listeners: readonly (() => void)[]): void {
  for (const listener of listeners) listener()
}
