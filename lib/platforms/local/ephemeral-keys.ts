/** Keys that live and die with the process: an RSA key made at start, known to nobody else. */
import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { KeysBusyError, UnwrapError } from '../../keys/provider.ts'
import type { KeyProvider, KeyStatus, PublishedKey } from '../../keys/provider.ts'
import { createRsaPool } from '../../keys/rsa/pool.ts'
import type { RsaPool, RsaPoolOptions } from '../../keys/rsa/pool.ts'
import { publishedKey } from '../../keys/rsa/public-key.ts'

export interface EphemeralOptions extends RsaPoolOptions {
  /** Bits. Default: 4096, what deployed clients expect; tests take 2048 for speed. */
  modulusLength?: number
}

/**
 * Begins to make the key at once, off the event loop; that takes a few hundred milliseconds. There is no
 * `deriveSecret`: no other instance has this key, so a secret derived from it would be no better than a random one.
 */
export function createEphemeralProvider (options: EphemeralOptions = {}): KeyProvider {
  let status: KeyStatus = { ready: false, reason: 'generating the key' }
  let keys: readonly PublishedKey[] = []
  let pool: RsaPool | undefined

  async function generate (): Promise<void> {
    const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', {
      modulusLength: options.modulusLength ?? 4096,
      publicKeyEncoding: { format: 'der', type: 'spki' },
      privateKeyEncoding: { format: 'der', type: 'pkcs8' }
    })
    const published = publishedKey(publicKey)
    pool = await createRsaPool(privateKey, options)
    keys = [published]
    status = { ready: true }
  }

  const ready = generate()
  // Whether or not anyone awaits it, a failure is told by the status and never takes the process down.
  ready.catch(() => { status = { ready: false, reason: 'the key could not be generated' } })

  return {
    remote: false,
    ready,
    status: () => status,
    publicKeys: () => keys,

    async unwrap (keyId, wrapped) {
      if (pool === undefined) throw new KeysBusyError()
      if (keyId !== keys[0]?.keyId) throw new UnwrapError()
      return pool.unwrap(wrapped)
    },

    /** The key cannot be had again, and does not change. */
    refresh: () => ready,

    async close () {
      await Promise.allSettled([ready])
      pool?.close()
      status = { ready: false, reason: 'closed' }
    }
  }
}
