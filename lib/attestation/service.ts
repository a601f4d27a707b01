/**
 * Keeps current evidence about this platform: obtains it at start, renews it in time, answers clients' nonces,
 * and tells the gate. Knows nothing of HTTP.
 */
import { randomBytes } from 'node:crypto'
import { attestationDocument, bindingPreimage, deviceNonce, sha256 } from '../protocols/attestation.ts'
import type { AttestationDocument, AttestedKey, Claim, TypedValue } from '../protocols/attestation.ts'
import { RemoteError } from '../remote/error.ts'
import type { Attester } from './attester.ts'
import { createGate } from './gate.ts'
import type { GateStatus } from './gate.ts'

export interface AttestationLog {
  info (details: object, message: string): void
  warn (details: object, message: string): void
}

export interface AttestationServiceOptions {
  readonly attester: Attester
  /** The keys to cover, as they are now; empty while there are none. */
  readonly keys: () => readonly AttestedKey[]
  /** What the proxy says of itself, bound into the evidence. */
  readonly claims?: readonly Claim[]
  /** Evidence of devices for a nonce of 32 bytes. @throws {RemoteError} */
  readonly devices?: (nonce: Uint8Array, signal: AbortSignal) => Promise<readonly TypedValue[]>
  /** What others say of this software, such as Sigstore bundles: handed out beside the platform's own endorsements. */
  readonly endorsements?: () => Promise<readonly TypedValue[]>
  /** Whether the gate closes where there is no evidence. */
  readonly required: boolean
  /** Milliseconds for which the gate stays open on expired evidence. */
  readonly grace: number
  /**
   * Most milliseconds from one renewal to the next; evidence without a time of its own counts as expired after twice
   * that.
   */
  readonly renewal: number
  /** Milliseconds for which requests without a nonce share one document. */
  readonly cache: number
  /** Most nonces that the platform is asked to answer at once; more are turned away. */
  readonly concurrency?: number
  /**
   * Appraises the proxy's own evidence.
   * @returns names of the checks that failed; none where it may be served on
   */
  readonly appraise?: (document: AttestationDocument, nonce: Uint8Array) => Promise<readonly string[]>
  readonly log: AttestationLog
}

export interface AttestationService {
  readonly type: Attester['type']
  status (): GateStatus
  /**
   * A document that answers the nonce; without one, the current document, which others get as well.
   *
   * @throws {AttestationUnavailableError}
   */
  document (nonce?: Uint8Array): Promise<AttestationDocument>
  /** Renews ahead of time: the keys changed. Never rejects. */
  refresh (): Promise<void>
  /** Whether the current evidence covers the key. Without a platform there is none to wait for. */
  covers (key: AttestedKey): boolean
  /** Calls the listener each time the gate closes. */
  onClose (listener: () => void): void
  close (): void
}

/** There is no evidence to be had now. `retryAfter` is in seconds. */
export class AttestationUnavailableError extends Error {
  override readonly name = 'AttestationUnavailableError'
  readonly code = 'ERR_ATTESTATION_UNAVAILABLE'
  readonly retryAfter: number

  constructor (retryAfter: number, options?: ErrorOptions) {
    super('Attestation evidence is currently unavailable', options)
    this.retryAfter = retryAfter
  }
}

interface Issued {
  readonly document: AttestationDocument
  readonly nonce: Uint8Array
  readonly issuedAt: number
  readonly expiresAt: number
  /** Which keys it covers: together, and each. */
  readonly keys: string
  readonly covered: ReadonlySet<string>
}

const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 60_000
/** Timers hold at most this. */
const MAX_TIMEOUT = 2 ** 31 - 1

export function createAttestationService (options: AttestationServiceOptions): AttestationService {
  const {
    attester, keys, claims = [], devices: collect, endorsements: others, renewal, cache, concurrency = 4, appraise, log
  } = options
  const gate = createGate(options)
  const stopping = new AbortController()
  const listeners: Array<() => void> = []
  let current: Issued | undefined
  let renewing: Promise<void> | undefined
  let running = 0
  let pause = FIRST_PAUSE
  /** Seconds for which the platform asked to be left alone. */
  let asked = 0
  /** What the operator can do about the last failure. */
  let advice: string | undefined
  let renewalTimer: NodeJS.Timeout | undefined
  let closingTimer: NodeJS.Timeout | undefined
  let wasOpen = gate.status().open

  renew()
  return {
    type: attester.type,
    status: () => gate.status(),
    async document (nonce) {
      if (nonce !== undefined) return (await issue(nonce, false)).document
      // The attempt under way may have begun before the keys changed: then it takes another.
      for (let attempts = 0; attempts < 2 && !isCurrent(); attempts++) await renew()
      if (!current || !isCurrent()) throw unavailable()
      return current.document
    },
    async refresh () {
      await renew()
      if (stopping.signal.aborted) return
      // The attempt may have been under way when the keys changed.
      if (gate.status().failures === 0 && current?.keys !== identity(keys())) await renew()
    },
    covers: key => attester.type === 'none' || (current?.covered.has(identity([key])) ?? false),
    onClose: listener => { listeners.push(listener) },
    close () {
      stopping.abort()
      clearTimeout(renewalTimer)
      clearTimeout(closingTimer)
    }
  }

  function isCurrent (): boolean {
    return current !== undefined && Date.now() < current.issuedAt + cache && Date.now() < current.expiresAt &&
      current.keys === identity(keys())
  }

  /** Asks the platform. However many clients ask, the proxy's own renewal has its turn. */
  async function issue (nonce: Uint8Array, cached: boolean): Promise<Issued> {
    const covered = keys()
    if (covered.length === 0 || (!cached && running >= concurrency) || stopping.signal.aborted) throw unavailable()
    running++
    try {
      const issuedAt = Date.now()
      // First, since what they say is bound into the evidence of the platform.
      const devices = await collect?.(await deviceNonce(nonce, covered, claims), stopping.signal) ?? []
      const preimage = await bindingPreimage(nonce, covered, { claims, devices })
      const evidence = await attester.evidence({ preimage, binding: await sha256(preimage), signal: stopping.signal })
      const endorsements = [...evidence.endorsements, ...await others?.() ?? []]
      const document = await attestationDocument({
        ...evidence, nonce, keys: covered, claims, devices, endorsements, cached, issuedAt: new Date(issuedAt)
      })
      const expiresAt = Math.min(evidence.expiresAt?.getTime() ?? Infinity, issuedAt + 2 * renewal)
      const each = new Set(covered.map(key => identity([key])))
      return { document, nonce, issuedAt, expiresAt, keys: identity(covered), covered: each }
    } catch (cause) {
      throw unavailable(cause)
    } finally {
      running--
    }
  }

  function unavailable (cause?: unknown): AttestationUnavailableError {
    return new AttestationUnavailableError(Math.max(Math.ceil(pause / 1000), asked), { cause })
  }

  /** Concurrent calls share one attempt, and none fails: the gate knows. */
  function renew (): Promise<void> {
    renewing ??= attempt().finally(() => { renewing = undefined })
    return renewing
  }

  async function attempt (): Promise<void> {
    clearTimeout(renewalTimer)
    asked = 0
    advice = undefined
    try {
      const issued = await issue(randomBytes(32), true)
      const refusals = await appraise?.(issued.document, issued.nonce) ?? []
      if (refusals.length > 0) {
        current = undefined
        gate.refused(`this deployment's own policy refuses its evidence: ${refusals.join(', ')}`)
      } else {
        current = issued
        gate.obtained(issued.expiresAt)
      }
    } catch (error) {
      gate.failed(reasonOf(error))
      asked = causeOf(error)?.retryAfter ?? 0
      advice = causeOf(error)?.advice
    }
    settle()
  }

  /** After each attempt: says what happened, plans the next, and watches the gate. */
  function settle (): void {
    const { state, reason, failures, renewals } = gate.status()
    if (failures === 0) {
      pause = FIRST_PAUSE
      // Without a platform there is none, whatever the document is made of.
      if (attester.type !== 'none') {
        log.info(
          { attestation: { type: attester.type, renewals, expiresAt: current?.document.expiresAt } },
          'attestation evidence obtained'
        )
      }
    } else {
      pause = failures === 1 ? FIRST_PAUSE : Math.min(2 * pause, LONGEST_PAUSE)
      const details = {
        attestation: { type: attester.type, state, failures, reason, ...advice !== undefined && { advice } }
      }
      // At every start, keys take a moment.
      if (keys().length === 0) log.info(details, 'attestation waits for keys')
      else log.warn(details, 'could not obtain attestation evidence')
    }
    if (stopping.signal.aborted) return
    const wait = failures === 0 && current ? Math.min(renewal, (current.expiresAt - Date.now()) / 2) : pause
    // From half the time to all of it, so that replicas started together do not ask together.
    renewalTimer = setTimeout(
      renew, Math.min(Math.max(wait * (0.5 + Math.random() / 2), asked * 1000), MAX_TIMEOUT)
    ).unref()
    watch()
  }

  /** Notices that the gate closed, now or when its time comes. */
  function watch (): void {
    clearTimeout(closingTimer)
    const { open, state, reason } = gate.status()
    if (wasOpen && !open) {
      log.warn({ attestation: { state, reason } }, 'attestation gate closed')
      for (const listener of listeners) listener()
    } else if (!wasOpen && open) {
      log.info({ attestation: { state } }, 'attestation gate opened')
    }
    wasOpen = open
    const closesAt = gate.closesAt()
    if (open && closesAt !== undefined && !stopping.signal.aborted) {
      closingTimer = setTimeout(watch, Math.min(Math.max(closesAt - Date.now(), 1), MAX_TIMEOUT)).unref()
    }
  }
}

function identity (keys: readonly AttestedKey[]): string {
  return keys.map(({ kind, value }) => `${kind} ${Buffer.from(value).toString('base64')}`).join()
}

/** What the platform said, if it was asked. */
function causeOf (error: unknown): RemoteError | undefined {
  const cause = error instanceof AttestationUnavailableError ? error.cause : error
  return cause instanceof RemoteError ? cause : undefined
}

function reasonOf (error: unknown): string {
  const cause = causeOf(error)
  if (cause !== undefined) return cause.message
  return error instanceof AttestationUnavailableError && error.cause === undefined ? 'no keys yet' : 'unexpected error'
}
