/**
 * Keys and their certificates, in the process that orders them. A key is made here, and serves in a certificate that
 * signs itself until the authority has issued one for it. After two thirds of that one's life the next key is made; it
 * serves once it has a certificate and clients have had time to find it in the evidence:
 *
 *     key 1   self-signed | issued              | until key 2 serves
 *     key 2                        made, issued | serves after the overlap …
 *
 * An authority that fails is asked again with growing pauses. What was issued before serves on.
 */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { RemoteError } from '../../remote/error.ts'
import { withTimeout } from '../../remote/retry.ts'
import { selfSignedCertificate } from '../certificate.ts'
import { pinOf } from '../keys.ts'
import type { AcmeClient } from './client/index.ts'
import type { AcmeKey, AcmeSource, AcmeState, Challenge } from './state.ts'

export interface AcmeIssuerOptions {
  readonly client: AcmeClient
  readonly names: readonly string[]
  /** Milliseconds for which the evidence covers a key before it serves. */
  readonly overlap: number
  /** Milliseconds until all processes that serve know of a challenge. */
  readonly settle: number
  readonly onIssued: (issued: { readonly pin: string, readonly notAfter: Date, readonly renewal: Date }) => void
  readonly onFailure: (error: RemoteError, next: { readonly retryIn: number, readonly hasExpired: boolean }) => void
  /** First pauses in milliseconds: after a failure that may pass, and after a refusal. */
  readonly pauses?: { readonly transient: number, readonly refused: number }
}

const PAUSES = { transient: 5000, refused: 60_000 }
/** The longest, other than an authority's own wish, in milliseconds. */
const MAX_PAUSES = { transient: 600_000, refused: 21_600_000 }
/** One attempt as a whole. */
const ATTEMPT_MS = 900_000
/** Of its life, how much a certificate serves before it is renewed; and by how much less at most, at random. */
const SERVED = 2 / 3
const JITTER = 1 / 20
/** Certificates that sign themselves are for a start: an authority may take as long. Clocks may be off by a day. */
const SELF_SIGNED_MS = 365 * 86_400_000
const CLOCKS_MS = 86_400_000
/** Clocks are looked at so often: timers know nothing of a machine that was suspended. */
const LOOK_MS = 60_000

export function createAcmeIssuer (options: AcmeIssuerOptions): AcmeSource {
  const { client, names, overlap, settle, onIssued, onFailure, pauses = PAUSES } = options
  const listeners: (() => void)[] = []
  const ending = new AbortController()
  let state: AcmeState = { keys: [newKey(names)], challenges: [], failures: 0 }
  let running = false

  function update (changes: Partial<AcmeState>): void {
    if (ending.signal.aborted) return
    state = { ...state, ...changes }
    for (const listener of listeners) listener()
  }

  async function publish (challenges: readonly Challenge[]): Promise<void> {
    update({ challenges })
    await sleep(settle, undefined, { signal: ending.signal })
  }

  /** Tries until there is one. */
  async function issue (key: AcmeKey, former: AcmeKey | undefined): Promise<AcmeKey> {
    for (;;) {
      try {
        const issued = await withTimeout(
          signal => client.obtain(key.key, publish, signal), ATTEMPT_MS, ending.signal
        )
        return { ...key, ...issued, isIssued: true, servesFrom: servingTime(key, former) }
      } catch (cause) {
        ending.signal.throwIfAborted()
        const error = cause instanceof RemoteError ? cause : unexpected(cause)
        const failures = state.failures + 1
        const retryIn = Math.round(pauseAfter(error, failures))
        update({ failures, challenges: [] })
        onFailure(error, { retryIn, hasExpired: former !== undefined && former.notAfter <= Date.now() })
        await until(Date.now() + retryIn)
      }
    }
  }

  /** After the overlap, or sooner if the certificate before it would not last. */
  function servingTime (key: AcmeKey, former: AcmeKey | undefined): number {
    if (former === undefined) return key.servesFrom
    const now = Date.now()
    return Math.min(key.servesFrom + overlap, now + Math.max(0, former.notAfter - now) / 2)
  }

  function pauseAfter ({ kind, retryAfter = 0 }: RemoteError, failures: number): number {
    const growth = kind === 'transient' ? 'transient' : 'refused'
    const pause = Math.min(pauses[growth] * 2 ** Math.min(failures - 1, 30), MAX_PAUSES[growth])
    return Math.max(pause / 2 + Math.random() * pause / 2, retryAfter * 1000)
  }

  async function until (time: number): Promise<void> {
    for (;;) {
      const left = time - Date.now()
      if (left <= 0) return ending.signal.throwIfAborted()
      await sleep(Math.min(left, LOOK_MS), undefined, { signal: ending.signal, ref: false })
    }
  }

  async function run (): Promise<void> {
    let former: AcmeKey | undefined
    for (;;) {
      const key = state.keys.at(-1) ?? newKey(names)
      const issued = await issue(key, former)
      const renewal = renewalTime(issued)
      update({ keys: [...former === undefined ? [] : [former], issued], challenges: [], failures: 0 })
      onIssued({ pin: issued.pin, notAfter: new Date(issued.notAfter), renewal: new Date(renewal) })
      await until(issued.servesFrom)
      update({ keys: [issued] })
      await until(renewal)
      former = issued
      update({ keys: [former, newKey(names)] })
    }
  }

  return {
    state: () => state,
    onChange (listener) { listeners.push(listener) },
    begin () {
      if (running) return
      running = true
      // It ends when it is told to, and for no other reason.
      run().catch((error: unknown) => { if (!ending.signal.aborted) throw error })
    },
    close () {
      ending.abort()
      state = { ...state, challenges: [] }
    }
  }
}

/** In a certificate that signs itself. */
function newKey (names: readonly string[]): AcmeKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const now = Date.now()
  const [notBefore, notAfter] = [now - CLOCKS_MS, now + SELF_SIGNED_MS]
  return {
    pin: pinOf(createPublicKey(privateKey).export({ format: 'der', type: 'spki' })),
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    cert: selfSignedCertificate({
      key: privateKey, names, notBefore: new Date(notBefore), notAfter: new Date(notAfter)
    }),
    isIssued: false,
    notBefore,
    notAfter,
    servesFrom: now
  }
}

/** Replicas that started together do not renew together. */
function renewalTime ({ notBefore, notAfter }: AcmeKey): number {
  return notBefore + (notAfter - notBefore) * (SERVED - Math.random() * JITTER)
}

function unexpected (cause: unknown): RemoteError {
  return new RemoteError('transient', 'The certificate could not be obtained', {
    cause,
    providerCode: cause instanceof Error ? cause.name : 'UNKNOWN',
    advice: 'If it lasts, report it with this code'
  })
}
