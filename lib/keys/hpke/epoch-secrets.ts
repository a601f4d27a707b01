/** Where the secrets come from that the HPKE keys of an epoch are made of (docs/keys.md). */
import { hkdfSync, randomBytes, randomInt } from 'node:crypto'
import type { EpochSecrets } from './ring.ts'
import type { KeyProvider } from '../provider.ts'

const SECRET_BYTES = 32
const KEYS_INFO = 'polaris-secure-proxy hpke keys v1'
const RATCHET_INFO = 'polaris-secure-proxy hpke ratchet v1'

/** 32 bytes of HKDF-SHA256 (RFC 5869) without salt. */
function hkdf (secret: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), info, SECRET_BYTES))
}

/** What a ratchet needs to go on: enough to make the keys of `epoch` and of all that follow, and of none before. */
export interface RatchetState {
  readonly epoch: number
  readonly seed: Uint8Array
  /** The epoch in which the instance began. */
  readonly earliest: number
  readonly firstKeyId: number
}

export interface Ratchet extends EpochSecrets {
  /**
   * A copy of the state as it was before `epoch`, for another process that makes the same keys from there on. Where
   * that epoch is gone, which a clock that is set back asks for, the state is the oldest that is left.
   */
  stateAt (epoch: number): RatchetState
}

/**
 * Secrets that this instance alone knows. The seed of an epoch is the HKDF of the one before, which is wiped once it is
 * not needed any more: who learns it later cannot make the keys of epochs that are over.
 */
export function createRatchet (start: Omit<RatchetState, 'earliest' | 'firstKeyId'> & Partial<RatchetState>): Ratchet {
  const { earliest = start.epoch, firstKeyId = 0 } = start
  let at = start.epoch
  let seed = Uint8Array.from(start.seed)

  function forwardTo (epoch: number): void {
    if (epoch < at) throw new RangeError('The secret of this epoch is gone')
    for (; at < epoch; at++) {
      const next = Uint8Array.from(hkdf(seed, RATCHET_INFO))
      seed.fill(0)
      seed = next
    }
  }

  return {
    earliest,
    get oldest () { return at },
    firstKeyId,
    secret (epoch) {
      forwardTo(epoch)
      return hkdf(seed, KEYS_INFO)
    },
    stateAt (epoch) {
      forwardTo(Math.max(epoch, at))
      return { epoch: at, seed: Uint8Array.from(seed), earliest, firstKeyId }
    }
  }
}

/**
 * A fresh ratchet, beginning with the present epoch. So that clients of an instance before this one, which still hold
 * its keys, are told that those are unknown, key ids begin elsewhere each time.
 */
export function createInstanceRatchet (epoch: number): Ratchet {
  return createRatchet({ epoch, seed: randomBytes(SECRET_BYTES), firstKeyId: randomInt(256) })
}

/**
 * Secrets derived from one RSA private key, which all replicas have: they agree without talking to each other. Key ids
 * begin where the key's own id says, so that those of two RSA keys are told apart.
 *
 * @param keyId of the RSA key: base64url
 */
export function derivedSecrets (keys: KeyProvider, keyId: string): EpochSecrets {
  const [firstKeyId = 0] = Buffer.from(keyId, 'base64url')
  return {
    earliest: undefined,
    firstKeyId,
    async secret (epoch) {
      if (keys.deriveSecret === undefined) throw new TypeError('This key type does not derive secrets')
      return keys.deriveSecret(keyId, `${KEYS_INFO} epoch ${epoch}`, SECRET_BYTES)
    }
  }
}

/** Secrets made from a seed that all replicas share, such as one that only their RSA key opens. */
export function seededSecrets (seed: () => Promise<Uint8Array>): EpochSecrets {
  let opened: Promise<Uint8Array> | undefined
  return {
    earliest: undefined,
    firstKeyId: 0,
    async secret (epoch) {
      opened ??= seed()
      try {
        return hkdf(await opened, `${KEYS_INFO} epoch ${epoch}`)
      } catch (error) {
        // Asked for again, it is fetched again.
        opened = undefined
        throw error
      }
    }
  }
}
