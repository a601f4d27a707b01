/**
 * What the TLS keys are made from: the same kinds of secrets as the HPKE keys, so that replicas share what they share.
 */
import { createECDH, createPrivateKey, hkdfSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { Config } from '../config/config.ts'
import { createInstanceRatchet, derivedSecrets, seededSecrets } from '../keys/hpke/epoch-secrets.ts'
import type { Ratchet } from '../keys/hpke/epoch-secrets.ts'
import { epochAt } from '../keys/hpke/ring.ts'
import type { EpochSecrets } from '../keys/hpke/ring.ts'
import { openSealedSeed } from '../keys/hpke/sealed-seed.ts'
import type { KeyProvider } from '../keys/provider.ts'

/** Secrets of the epochs, and a name for where they come from. */
export interface TlsSource {
  readonly id: string
  readonly secrets: EpochSecrets
}

const KEY_INFO = 'polaris-secure-proxy tls key v1'
/** So many more than the 32 of the order that no private key is more likely than another (FIPS 186-5, A.2.1). */
const SEED_BYTES = 48
/** Order of P-256 (SP 800-186, section 3.2.1.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
/** Of an RSA key that was replaced, replicas may still have the TLS keys; of more than a few, none. */
const MAX_SOURCES = 3

/** Secrets of an instance that shares them with no other. */
export function tlsRatchet ({ tlsRotation }: Config): Ratchet {
  return createInstanceRatchet(epochAt(Date.now(), tlsRotation))
}

/**
 * The sources that there are at a moment, that of the key to serve first; none while they are waited for.
 *
 * @param given the secrets of an instance, if another process has them
 */
export function tlsSources (
  config: Config, keys: KeyProvider, given: EpochSecrets | undefined
): () => readonly TlsSource[] {
  const one = (secrets: EpochSecrets) => {
    const sources = [{ id: '', secrets }]
    return () => sources
  }
  switch (config.hpkeSeed) {
    case 'instance': return one(given ?? tlsRatchet(config))
    case 'sealed': return one(
      seededSecrets(() => openSealedSeed(config.hpkeSeedFile ?? '', keys, config.hpkeSeedFileSha256))
    )
    case 'derived': return () => [...keys.publicKeys().map(({ keyId }) => keyId), ...keys.retiring?.() ?? []]
      .slice(0, MAX_SOURCES).map(id => ({ id, secrets: derivedSecrets(keys, id) }))
  }
}

/**
 * The P-256 key of an epoch. Its secret serves the HPKE keys, too: what either is made with tells nothing of the other.
 */
export function tlsKeyFrom (secret: Uint8Array): KeyObject {
  const seed = Buffer.from(hkdfSync('sha256', secret, new Uint8Array(), KEY_INFO, SEED_BYTES))
  const scalar = BigInt(`0x${seed.toString('hex')}`) % (ORDER - 1n) + 1n
  seed.fill(0)
  const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex')
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(d)
  const point = ecdh.getPublicKey()
  const key = createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      d: d.toString('base64url'),
      x: point.subarray(1, 33).toString('base64url'),
      y: point.subarray(33).toString('base64url')
    }
  })
  d.fill(0)
  return key
}
