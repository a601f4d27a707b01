/** Keys that live and die with the process: an RSA key made at start, known to no other process. */
import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { KeysBusyError, UnwrapError } from '../../keys/provider.ts'
import type { KeyProvider, KeyStatus, PublishedKey } from '../../keys/provider.ts'
import { createRsaPool } from '../../keys/rsa/pool.ts'
import type { RsaPool, RsaPoolOptions } from '../../keys/rsa/pool.ts'
import { publishedKey } from '../../keys/rsa/public-key.ts'

export interface EphemeralOptions extends RsaPoolOptions {
  /** Bits. Default: 4096, what deployed clients expect; tests take 2048 for speed. */
  readonly modulusLength?: number
  /**
   * Milliseconds for which a key that `renew` replaced still decrypts, for clients that hold it. Default: 3 600 000.
   */
  readonly retireAfter?: number
}

interface Version {
  readonly published: PublishedKey
  readonly pool: RsaPool
}

const RETIRE_AFTER = 60 * 60_000

/**
 * Begins to make the key at once, off the event loop; that takes a few hundred milliseconds. There is no
 * `deriveSecret`: no other instance has this key, so a secret derived from it would be no better than a random one.
 */
export function createEphemeralProvider (options: EphemeralOptions = {}): KeyProvider {
  let status: KeyStatus = { ready: false, reason: 'generating the key' }
  let current: Version | undefined
  const retiring = new Map<string, Version>()
  const timers = new Set<NodeJS.Timeout>()
  const listeners: (() => void)[] = []
  let renewing: Promise<void> | undefined
  let closed = false

  async function generate (): Promise<void> {
    const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', {
      modulusLength: options.modulusLength ?? 4096,
      publicKeyEncoding: { format: 'der', type: 'spki' },
      privateKeyEncoding: { format: 'der', type: 'pkcs8' }
    })
    const version = { published: publishedKey(publicKey), pool: await createRsaPool(privateKey, options) }
    if (closed) return version.pool.close()
    const previous = current
    current = version
    status = { ready: true }
    if (previous === undefined) return
    retire(previous)
    for (const listener of listeners) listener()
  }

  function retire (version: Version): void {
    const { keyId } = version.published
    retiring.set(keyId, version)
    const timer = setTimeout(() => {
      timers.delete(timer)
      retiring.delete(keyId)
      version.pool.close()
    }, options.retireAfter ?? RETIRE_AFTER).unref()
    timers.add(timer)
  }

  const ready = generate()
  // Whether or not anyone awaits it, a failure is told by the status and never takes the process down.
  ready.catch(() => { status = { ready: false, reason: 'could not generate the key' } })

  return {
    remote: false,
    ready,
    status: () => status,
    publicKeys: () => current === undefined ? [] : [current.published],
    retiring: () => [...retiring.keys()],

    async unwrap (keyId, wrapped) {
      if (current === undefined) throw new KeysBusyError()
      const version = keyId === current.published.keyId ? current : retiring.get(keyId)
      if (version === undefined) throw new UnwrapError()
      return version.pool.unwrap(wrapped)
    },

    /** The key cannot be fetched again, and changes only by `renew`. */
    refresh: () => ready,

    renew () {
      renewing ??= ready.then(generate).finally(() => { renewing = undefined })
      return renewing
    },

    onRenewal (listener) { listeners.push(listener) },

    async close () {
      closed = true
      await Promise.allSettled([ready, renewing])
      for (const timer of timers) clearTimeout(timer)
      for (const { pool } of [...current === undefined ? [] : [current], ...retiring.values()]) pool.close()
      status = { ready: false, reason: 'closed' }
    }
  }
}
