/** The HPKE key ring that the settings ask for. */
import type { Config } from '../config.ts'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../protocols/hpke-suites.ts'
import { createInstanceRatchet, derivedSecrets, seededSecrets } from './epoch-secrets.ts'
import type { Ratchet } from './epoch-secrets.ts'
import { createHpkeRing, epochAt } from './hpke-ring.ts'
import type { EpochSecrets, HpkeRing } from './hpke-ring.ts'
import type { KeyProvider } from './provider.ts'
import { openSealedSeed } from './sealed-seed.ts'

export function hpkeRingFrom (config: Config, secrets: EpochSecrets, onError: (error: unknown) => void): HpkeRing {
  return createHpkeRing({
    rotation: config.hpkeRotation,
    retirement: config.hpkeRetirement,
    kemIds: config.hpkePostQuantum ? [KEM_MLKEM768_X25519, KEM_X25519] : [KEM_X25519],
    secrets,
    onError
  })
}

/** Where the secrets of the epochs come from; a ratchet of its own for an instance that shares them with no other. */
export function epochSecretsFrom (config: Config, keys: KeyProvider): EpochSecrets | Ratchet {
  switch (config.hpkeSeed) {
    case 'instance': return instanceRatchet(config)
    case 'derived': return derivedSecrets(keys)
    case 'sealed': return seededSecrets(() => openSealedSeed(config.hpkeSeedFile ?? '', keys))
  }
}

export function instanceRatchet ({ hpkeRotation }: Config): Ratchet {
  return createInstanceRatchet(epochAt(Date.now(), hpkeRotation))
}
