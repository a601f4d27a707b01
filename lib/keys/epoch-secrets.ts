/** Where the secrets come from that the HPKE keys of an epoch are made of (docs/keys.md). */
import { hkdfSync, randomBytes } from 'node:crypto'
import type { EpochSecrets } from './hpke-ring.ts'

const SEED_BYTES = 32
const KEYS_INFO = 'polaris-secure-proxy hpke keys v1'
const RATCHET_INFO = 'polaris-secure-proxy hpke ratchet v1'

/** Octets of the HKDF-SHA256 (RFC 5869) of a seed, without salt. */
function hkdf (seed: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', seed, new Uint8Array(), info, SEED_BYTES))
}

/** The state of a ratchet: enough to make the keys of `epoch` and of all that follow, and of none before. */
export interface RatchetState {
  readonly epoch: number
  readonly seed: Uint8Array
}

export interface Ratchet extends EpochSecrets {
  /** A copy of the state, for another process that is to make the same keys from here on. */
  state (): RatchetState
}

/**
 * Secrets that nothing but this process knows. The seed is replaced by its own HKDF after each epoch: who learns it
 * later cannot make the keys of epochs that are over.
 */
export function createRatchet ({ epoch, seed }: RatchetState = { epoch: -1, seed: randomBytes(SEED_BYTES) }): Ratchet {
  let at = epoch
  let current = Uint8Array.from(seed)

  function step (): void {
    const next = hkdf(current, RATCHET_INFO)
    current.fill(0)
    current = Uint8Array.from(next)
    next.fill(0)
    at++
  }

  return {
    shared: false,
    secret (wanted) {
      if (at === -1) at = wanted
      if (wanted < at) throw new RangeError('The secret of this epoch is gone')
      while (at < wanted) step()
      const secret = hkdf(current, KEYS_INFO)
      step()
      return secret
    },
    state: () => ({ epoch: at, seed: Uint8Array.from(current) })
  }
}
