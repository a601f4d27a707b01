/**
 * The keys that requests are encrypted to, as they were proven last. They are proven again before a proof is too old.
 */
import { AttestationError } from '../../attestation/attest-keys.ts'
import type { Verdict } from '../../attestation/checks.ts'
import { cached } from '../../fetch/keys/published.ts'
import type { Cached } from '../../fetch/keys/published.ts'
import type { Log } from '../log.ts'

const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 30_000

/** A key, and what was found out about it. */
export interface Found<Key> {
  readonly key: Key
  /** Undefined if nothing was asked to be proven. */
  readonly verdict: Verdict | undefined
  /** SHA-256 of the proven keys, in hexadecimal: of application/ohttp-keys, or of all TLS keys. */
  readonly keysHash: string
  readonly postQuantum: boolean
  /** In seconds. */
  readonly maxAge: number
}

/** What is known about the keys in use. */
export interface Proven extends Omit<Found<unknown>, 'key' | 'maxAge'> {
  /** When these keys were proven first, without a failed proof since. */
  readonly since: Date
  /** When they were proven last. */
  readonly at: Date
  readonly until: Date
}

export interface Failure {
  readonly error: unknown
  readonly at: Date
}

export interface ProofStatus {
  /** Undefined while nothing may be sent. */
  readonly proven: Proven | undefined
  /** Of the last attempt, if that failed. */
  readonly failure: Failure | undefined
}

export interface Proof<Key> extends Pick<Cached<Key>, 'get' | 'renew' | 'doubt'> {
  status (): ProofStatus
  /**
   * Proves the keys again before each proof is too old, and after a failure until they are proven. Returns what stops
   * it.
   */
  keepFresh (): () => void
}

export interface ProofOptions<Key> {
  /** Asks for proof now. */
  readonly prove: () => Promise<Found<Key>>
  readonly log: Log
}

export function createProof<Key> ({ prove, log }: ProofOptions<Key>): Proof<Key> {
  let proven: Proven | undefined
  let inUse: Key | undefined
  let failure: Failure | undefined
  // The result of the first attempt goes to the caller, not to the log.
  let started = false
  let reschedule = () => {}
  const keys = cached(load)

  async function load () {
    const at = new Date()
    try {
      const { key, maxAge, ...found } = await prove()
      inUse = key
      succeed({ ...found, at, until: new Date(at.getTime() + maxAge * 1000) })
      return { key, maxAge }
    } catch (error) {
      fail({ error, at })
      throw error
    }
  }

  function succeed (found: Omit<Proven, 'since'>): void {
    const before = proven
    const unbroken = failure === undefined && before?.keysHash === found.keysHash
    proven = { ...found, since: unbroken ? before.since : found.at }
    failure = undefined
    if (started && !unbroken) log.keys(proven)
    started = true
  }

  function fail (failed: Failure): void {
    // A proxy that is unreachable may be back before the last proof is too old. One that fails a check proves nothing
    // now.
    if (failed.error instanceof AttestationError && proven !== undefined && inUse !== undefined) {
      keys.doubt(inUse)
      proven = undefined
    }
    if (started && messageOf(failed.error) !== messageOf(failure?.error)) log.unproven(failed.error)
    const first = failure === undefined
    failure = failed
    // A renewal that is due in minutes would be too late now.
    if (first) reschedule()
  }

  function current (): Proven | undefined {
    return proven !== undefined && Date.now() < proven.until.getTime() ? proven : undefined
  }

  return {
    async get () {
      // A failure answers every request for a moment, so that the proxy is not asked by each.
      if (failure !== undefined && current() === undefined && Date.now() - failure.at.getTime() < FIRST_RETRY_MS) {
        throw failure.error
      }
      return keys.get()
    },
    renew: refused => keys.renew(refused),
    doubt: key => keys.doubt(key),
    status: () => ({ proven: current(), failure }),
    keepFresh () {
      let timer: NodeJS.Timeout | undefined
      let retry = FIRST_RETRY_MS
      let stopped = false
      const work = async () => {
        const key = current() && inUse
        const succeeded = await (key === undefined ? keys.get() : keys.renew(key)).then(() => true, () => false)
        retry = succeeded ? FIRST_RETRY_MS : Math.min(2 * retry, LAST_RETRY_MS)
        reschedule()
      }
      reschedule = () => {
        clearTimeout(timer)
        if (!stopped) timer = setTimeout(work, failure === undefined ? untilRenewal(proven) : retry)
      }
      reschedule()
      return () => {
        stopped = true
        clearTimeout(timer)
      }
    }
  }
}

/** In the last tenth of its time, so that no request waits for it and not all clients ask at once. */
function untilRenewal (proven: Proven | undefined): number {
  if (proven === undefined) return FIRST_RETRY_MS
  const age = proven.until.getTime() - proven.at.getTime()
  if (age === 0) return LAST_RETRY_MS
  return Math.max(FIRST_RETRY_MS, proven.at.getTime() + age * (0.9 + 0.1 * Math.random()) - Date.now())
}

function messageOf (error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined
}
