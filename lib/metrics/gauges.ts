/** What is read when an operator asks: keys, evidence, replay protection, connections, memory. Free until then. */
import type { GateStatus } from '../attestation/gate.ts'
import type { HpkeRing } from '../keys/hpke/ring.ts'
import type { KeyProvider } from '../keys/provider.ts'
import type { StoreUsage } from '../replay/store.ts'
import type { ByteBudget } from '../streams/budget.ts'
import type { AuthorityCertificates } from '../tls/keys.ts'
import type { Meter } from './meter.ts'
import type { Remembered } from './services.ts'

const MS = 1000
const GATE_STATES = ['waiting', 'fresh', 'grace', 'failed'] as const

/** @param rotation of HPKE keys, in milliseconds; 0 if they stay */
export function watchKeys (meter: Meter, keys: KeyProvider, hpke: HpkeRing | undefined, rotation: number): void {
  const firstSeen = new Map<string, number>()

  meter.watch(put => {
    const now = Date.now()
    const rsa = {
      active: keys.publicKeys().slice(0, 1).map(({ keyId }) => keyId),
      retiring: [...keys.publicKeys().slice(1).map(({ keyId }) => keyId), ...keys.retiring?.() ?? []]
    }
    const known = new Set(Object.values(rsa).flat())
    for (const keyId of firstSeen.keys()) if (!known.has(keyId)) firstSeen.delete(keyId)
    for (const keyId of known) if (!firstSeen.has(keyId)) firstSeen.set(keyId, now)
    for (const state of ['active', 'retiring'] as const) {
      put('keys', ['rsa', state], rsa[state].length)
      const [newest] = rsa[state]
      if (newest !== undefined) put('keyAge', ['rsa', state], (now - (firstSeen.get(newest) ?? now)) / MS)
    }
  })
  if (hpke === undefined) return
  meter.watch(put => {
    const now = Date.now()
    const present = hpke.keys()
    for (const state of ['pending', 'active', 'retiring'] as const) {
      const ofState = present.filter(key => key.state === state)
      put('keys', ['hpke', state], ofState.length)
      const [newest] = ofState
      if (newest === undefined || !Number.isFinite(newest.notBefore)) continue
      if (state !== 'pending') put('keyAge', ['hpke', state], Math.max(0, now - newest.notBefore) / MS)
      if (state === 'active' && rotation > 0) {
        put('keyRotation', ['hpke', state], (newest.notBefore + rotation - now) / MS)
      }
    }
  })
}

export function watchEvidence (meter: Meter, platform: string, status: () => GateStatus): void {
  meter.watch(put => {
    const { state, open, evidenceAge, evidenceExpiresIn, failures } = status()
    put('gateOpen', [platform], Number(open))
    for (const name of GATE_STATES) put('gateState', [platform, name], Number(name === state))
    put('evidenceFailures', [platform], failures)
    if (evidenceAge !== undefined) put('evidenceAge', [platform], evidenceAge / MS)
    if (evidenceExpiresIn !== undefined) put('evidenceExpiry', [platform], evidenceExpiresIn / MS)
  })
}

export function watchCertificates (meter: Meter, { expiry, failures }: AuthorityCertificates): void {
  meter.watch(put => {
    const time = expiry()
    if (time !== undefined) put('certificateExpiry', [], (time - Date.now()) / MS)
    put('certificateFailures', [], failures())
  })
}

export function watchStore (
  meter: Meter, name: Remembered, store: { problem (): string | undefined, usage? (): StoreUsage }
): void {
  meter.watch(put => {
    put('replayUp', [name], Number(store.problem() === undefined))
    const usage = store.usage?.()
    if (usage === undefined) return
    put('replayEntries', [name], usage.entries)
    put('replayCapacity', [name], usage.capacity)
  })
}

export function watchBuffers (meter: Meter, budget: ByteBudget, limit: number): void {
  meter.watch(put => {
    put('buffered', [], budget.used)
    put('bufferLimit', [], limit)
  })
}

/** Connections to the workload. */
export interface ConnectionCounts {
  readonly open: number
  readonly idle: number
  /** Requests that wait for one. */
  readonly waiting: number
}

export function watchConnections (meter: Meter, counts: () => ConnectionCounts): void {
  meter.watch(put => {
    const { open, idle, waiting } = counts()
    put('connections', ['open'], open)
    put('connections', ['idle'], idle)
    put('connections', ['waiting'], waiting)
  })
}
