/** The HPKE key ring that the settings ask for. */
import type { Config } from '../../config/config.ts'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../../protocols/ohttp/suites.ts'
import { createDerivedRings } from './derived-rings.ts'
import { createInstanceRatchet, seededSecrets } from './epoch-secrets.ts'
import type { Ratchet } from './epoch-secrets.ts'
import { createHpkeRing, epochAt } from './ring.ts'
import type { EpochSecrets, HpkeRing } from './ring.ts'
import type { KeyProvider } from '../provider.ts'
import { openSealedSeed } from './sealed-seed.ts'

export interface HpkeReports {
  /** Told of rotations that failed; they are tried again. */
  onError (error: unknown): void
  /** As of `createDerivedRings`. */
  onClash (keyIds: readonly string[]): void
}

/** @param given the secrets of the epochs, where they come from elsewhere: another process has them */
export function hpkeRingFrom (
  config: Config, keys: KeyProvider, given: EpochSecrets | undefined, { onError, onClash }: HpkeReports
): HpkeRing {
  const ring = (secrets: EpochSecrets) => createHpkeRing({
    rotation: config.hpkeRotation,
    retirement: config.hpkeRetirement,
    kemIds: config.hpkePostQuantum ? [KEM_MLKEM768_X25519, KEM_X25519] : [KEM_X25519],
    secrets,
    onError
  })
  if (given !== undefined) return ring(given)
  switch (config.hpkeSeed) {
    case 'instance': return ring(instanceRatchet(config))
    case 'derived': return createDerivedRings(keys, ring, onClash)
    case 'sealed': return ring(
      seededSecrets(() => openSealedSeed(config.hpkeSeedFile ?? '', keys, config.hpkeSeedFileSha256))
    )
  }
}

/** Secrets of an instance that shares them with no other. */
export function instanceRatchet ({ hpkeRotation }: Config): Ratchet {
  return createInstanceRatchet(epochAt(Date.now(), hpkeRotation))
}
