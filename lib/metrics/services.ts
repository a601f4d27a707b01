/**
 * Counts what protocols ask of keys and of replay protection, and what the proxy asks of attestation and of key
 * services: each of them in a wrapping that is what it wraps. Protocols know nothing of it.
 */
import type { Attester } from '../attestation/attester.ts'
import type { RegistryServices } from '../exchanges/registry.ts'
import type { HpkeRing } from '../keys/hpke/ring.ts'
import { KeysBusyError, UnwrapError } from '../keys/provider.ts'
import type { KeyProvider } from '../keys/provider.ts'
import { RemoteError } from '../remote/error.ts'
import type { MessageMemory } from '../replay/message-memory.ts'
import type { ReplayStore } from '../replay/store.ts'
import type { Counter, Histogram, Meter } from './meter.ts'

/** The two things that are remembered: requests of OHTTP and EHBP, and messages of Polaris v1. */
export type Remembered = 'requests' | 'v1-messages'
export type Service = 'keys' | 'attestation'

/**
 * What one protocol is made with.
 * @param protocol known once the protocol is made; forms that share keys go by the first
 */
export function meteredServices (meter: Meter, services: RegistryServices, protocol: () => string): RegistryServices {
  return {
    ...services,
    keys: meteredKeys(meter, services.keys, protocol),
    hpke: meteredRing(meter, services.hpke, protocol),
    replay: meteredStore(meter, services.replay),
    messages: services.messages && meteredMemory(meter, services.messages)
  }
}

function meteredKeys (meter: Meter, keys: KeyProvider, protocol: () => string): KeyProvider {
  const counterFor = once(outcome => meter.counter('privateOperations', protocol(), outcome))
  let waiting = 0
  let used = false
  meter.watch(put => { if (used) put('privateOperationsWaiting', [protocol()], waiting) })
  return inPlaceOf(keys, {
    async unwrap (keyId, wrapped) {
      used = true
      waiting++
      try {
        const key = await keys.unwrap(keyId, wrapped)
        counterFor('done').add()
        return key
      } catch (error) {
        counterFor(error instanceof KeysBusyError ? 'refused' : 'failed').add()
        throw error
      } finally {
        waiting--
      }
    }
  })
}

function meteredRing (meter: Meter, ring: HpkeRing, protocol: () => string): HpkeRing {
  const counterFor = once(outcome => meter.counter('decapsulations', protocol(), outcome))
  return inPlaceOf(ring, {
    decapsulate (header, enc) {
      try {
        const secret = ring.decapsulate(header, enc)
        counterFor('done').add()
        return secret
      } catch (error) {
        counterFor('failed').add()
        throw error
      }
    },
    * decapsulateByEach (kemId, enc) {
      try {
        for (const secret of ring.decapsulateByEach(kemId, enc)) {
          counterFor('done').add()
          yield secret
        }
      } catch (error) {
        counterFor('failed').add()
        throw error
      }
    }
  })
}

/** The service with some of its methods replaced. It may be of any class: its own methods are called on itself. */
function inPlaceOf<T extends object> (service: T, replaced: Partial<T>): T {
  return new Proxy(service, {
    get (target, name) {
      if (Object.hasOwn(replaced, name)) return Reflect.get(replaced, name)
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

function meteredStore (meter: Meter, store: ReplayStore): ReplayStore {
  const check = checks(meter, 'requests')
  return inPlaceOf(store, { admit: (digest, date) => check(() => store.admit(digest, date)) })
}

function meteredMemory (meter: Meter, memory: MessageMemory): MessageMemory {
  const check = checks(meter, 'v1-messages')
  return inPlaceOf(memory, { admit: (keyId, digests) => check(() => memory.admit(keyId, digests)) })
}

type Verdict = boolean | Promise<boolean>

function checks (meter: Meter, store: Remembered): (ask: () => Verdict) => Verdict {
  const fresh = meter.counter('replayChecks', store, 'new')
  const seen = meter.counter('replayChecks', store, 'seen')
  const failed = meter.counter('replayChecks', store, 'error')
  const duration = meter.histogram('replayDuration', store)

  function answered (isNew: boolean, since: number): boolean {
    duration.observe((performance.now() - since) / 1000)
    if (isNew) fresh.add()
    else seen.add()
    return isNew
  }

  function failure (error: unknown): never {
    failed.add()
    throw error
  }

  return ask => {
    const since = performance.now()
    try {
      const verdict = ask()
      return typeof verdict === 'boolean'
        ? answered(verdict, since)
        : verdict.then(isNew => answered(isNew, since), failure)
    } catch (error) {
      return failure(error)
    }
  }
}

export function meteredAttester (meter: Meter, attester: Attester): Attester {
  const call = calls(meter, 'attestation')
  return inPlaceOf(attester, { evidence: request => call(() => attester.evidence(request)) })
}

/** Of keys that are elsewhere, each operation is a call; of others, fetching them is, if they are fetched. */
export function meteredKeyService (meter: Meter, keys: KeyProvider): KeyProvider {
  const call = calls(meter, 'keys')
  call(() => keys.ready).catch(() => undefined)
  return inPlaceOf(keys, {
    refresh: () => call(() => keys.refresh()),
    ...keys.remote && { unwrap: (keyId: string, wrapped: Uint8Array) => call(() => keys.unwrap(keyId, wrapped)) }
  })
}

function calls (meter: Meter, service: Service): <T>(operation: () => Promise<T>) => Promise<T> {
  const counterFor = once(outcome => meter.counter('calls', service, outcome))
  const duration: Histogram = meter.histogram('callDuration', service)
  return async operation => {
    const since = performance.now()
    try {
      const result = await operation()
      counterFor('ok').add()
      return result
    } catch (error) {
      counterFor(outcomeOf(error)).add()
      throw error
    } finally {
      duration.observe((performance.now() - since) / 1000)
    }
  }
}

/** The kind of a failure, never what the other side said. */
function outcomeOf (error: unknown): string {
  if (error instanceof UnwrapError) return 'unopened'
  if (error instanceof KeysBusyError) return error.cause instanceof Error ? outcomeOf(error.cause) : 'busy'
  return error instanceof RemoteError ? error.kind : 'error'
}

/** Series come about with their first use. */
function once (create: (label: string) => Counter): (label: string) => Counter {
  const counters = new Map<string, Counter>()
  return label => {
    let counter = counters.get(label)
    if (counter === undefined) counters.set(label, counter = create(label))
    return counter
  }
}
