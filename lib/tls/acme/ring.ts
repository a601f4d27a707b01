/**
 * The keys of certificates that an authority issues, in a process that serves with them. A key serves once this
 * process has evidence that covers it, and the one before it stays covered for the overlap.
 */
import { createPublicKey } from 'node:crypto'
import type { AttestedKey } from '../../protocols/attestation.ts'
import type { Credentials, ListedTlsKey, TlsKeys } from '../keys.ts'
import { httpAnswer, tlsAnswer } from './challenges.ts'
import type { AcmeKey, AcmeSource } from './state.ts'

export interface AcmeRingOptions {
  readonly source: AcmeSource
  /** In milliseconds. */
  readonly overlap: number
  /** A key serves from now on. */
  readonly onServe: (pin: string) => void
}

interface Known {
  readonly shared: AcmeKey
  readonly credentials: Credentials
  readonly attested: AttestedKey
  readonly publicKey: string
  /** Milliseconds since 1970 until which it stays covered, once another serves. */
  until: number
}

/** Neither clocks nor evidence say when they change: they are looked at this often. */
const LOOK_MS = 250

export function createAcmeRing ({ source, overlap, onServe }: AcmeRingOptions): TlsKeys {
  const changed: (() => void)[] = []
  const activated: (() => void)[] = []
  let keys: readonly Known[] = []
  let active: Known | undefined
  let covers: (key: AttestedKey) => boolean = () => false
  let isReachable = false
  let closed = false
  let timer: NodeJS.Timeout | undefined

  function look (): void {
    if (closed) return
    const time = Date.now()
    const { keys: shared } = source.state()
    const before = keys
    const current = shared.map(key => knownOf(key, before))
    const pins = current.map(pinOfKnown)
    const leaving = before.filter(key => !pins.includes(pinOfKnown(key)))
    keys = [...current, ...leaving.filter(key => key === active || key.until > time)]
    if (keys.map(pinOfKnown).toSorted().join() !== before.map(pinOfKnown).toSorted().join()) tell(changed)
    serve(current, time)
  }

  function serve (current: readonly Known[], time: number): void {
    // With a new certificate for its key, or another key.
    const renewed = active && current.find(key => pinOfKnown(key) === active?.credentials.pin)
    const due = current.findLast(({ shared }) => shared.isIssued && shared.servesFrom <= time)
    const next = [due, renewed ?? (active === undefined ? current.at(-1) : undefined)]
      .find(key => key !== undefined && (key === renewed || covers(key.attested)))
    if (next === undefined || next === active) return
    const isAnother = next.credentials.pin !== active?.credentials.pin
    if (active !== undefined && isAnother) active.until = time + overlap
    active = next
    if (isAnother) onServe(next.credentials.pin)
    tell(activated)
    begin()
  }

  function begin (): void {
    if (active !== undefined && isReachable) source.begin()
  }

  /** The one that serves first. */
  function inOrder (): readonly Known[] {
    return [...active === undefined ? [] : [active], ...keys.filter(key => key !== active)]
  }

  function stateOf (key: Known): ListedTlsKey['state'] {
    return key === active ? 'active' : key.until === 0 ? 'pending' : 'retiring'
  }

  look()
  source.onChange(look)

  return {
    current: () => active?.credentials,
    problem: () => active === undefined ? 'waiting for evidence that covers the key' : undefined,
    attested: () => inOrder().map(({ attested }) => attested),
    keys: () => inOrder().map(key => ({
      pin: key.credentials.pin,
      algorithm: 'P-256',
      state: stateOf(key),
      notBefore: new Date(key.shared.notBefore).toISOString(),
      notAfter: new Date(key.shared.notAfter).toISOString(),
      publicKey: key.publicKey
    })),
    onChange (listener) { changed.push(listener) },
    onActive (listener) { activated.push(listener) },
    start (covered) {
      covers = covered
      timer = setInterval(look, LOOK_MS).unref()
      look()
    },
    close () {
      closed = true
      clearInterval(timer)
      source.close()
      keys = []
      active = undefined
    },
    certificates: {
      expiry () {
        const issued = source.state().keys.filter(({ isIssued }) => isIssued)
        return issued.length === 0 ? undefined : Math.max(...issued.map(({ notAfter }) => notAfter))
      },
      failures: () => source.state().failures,
      reachable () {
        isReachable = true
        begin()
      },
      tlsAnswer: serverName => tlsAnswer(source.state().challenges, serverName),
      httpAnswer: token => httpAnswer(source.state().challenges, token)
    }
  }
}

function pinOfKnown ({ shared }: Known): string {
  return shared.pin
}

/** As it was, but for what is new of it. */
function knownOf (shared: AcmeKey, before: readonly Known[]): Known {
  const former = before.find(known => pinOfKnown(known) === shared.pin)
  if (former?.shared.cert === shared.cert) return former
  const publicKey = createPublicKey(shared.key)
  return {
    shared,
    credentials: { cert: shared.cert, key: shared.key, pin: shared.pin },
    attested: former?.attested ?? {
      kind: 'tls-spki', value: Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }))
    },
    publicKey: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    until: former?.until ?? 0
  }
}

function tell (listeners: readonly (() => void)[]): void {
  for (const listener of listeners) listener()
}
