/** The two kinds of keys that a proxy can prove: those that requests are encrypted to, and those of its TLS. */
import { createHash } from 'node:crypto'
import { KEM_MLKEM768_X25519 } from '../../../lib/protocols/ohttp/suites.ts'
import { PolarisFetchError } from '../../fetch/errors.ts'
import { chooseKey } from '../../fetch/keys/published.ts'
import type { PostQuantum, ProxyAddress } from '../../fetch/keys/published.ts'
import { networkReason } from '../../network-error.ts'
import type { EncryptionKey } from '../../ohttp/hpke-sender.ts'
import { isPostQuantum } from '../../tls/connection.ts'
import type { TlsConnectOptions } from '../../tls/connection.ts'
import { pinnedConnections } from '../../tls/pinned.ts'
import type { Pinned } from '../../tls/pinned.ts'
import type { Found } from './proof.ts'
import type { Trust } from './trust.ts'

/** The key of OHTTP to encrypt to. */
export function ohttpKeys (
  trust: Trust, proxy: ProxyAddress, postQuantum: PostQuantum
): () => Promise<Found<EncryptionKey>> {
  return async () => {
    const { octets, maxAge, verdict } = await trust.appraise(proxy)
    const key = await chooseKey(octets, postQuantum)
    return { key, verdict, maxAge, keysHash: hashOf(octets), postQuantum: key.config.kemId === KEM_MLKEM768_X25519 }
  }
}

export interface TlsKeys {
  /** Its connections are proven one by one; this only says what was found the last time. */
  readonly prove: () => Promise<Found<object>>
  readonly pinned: Pinned
  /** @throws {PolarisFetchError | AttestationError | AttestationFetchError | AttestationDocumentError} */
  readonly connect: Pinned['connect']
}

/** @throws {TypeError} nothing is asked to be proven */
export function tlsKeys (trust: Trust, proxy: ProxyAddress, options: TlsConnectOptions): TlsKeys {
  const { appraiseTls } = trust
  if (appraiseTls === undefined) throw new TypeError('Nothing proves TLS keys')
  let last: Omit<Found<object>, 'key'> | undefined
  const pinned = pinnedConnections(new URL(new URL(proxy.baseURL).origin), async (evidence, socket) => {
    const { keys, maxAge, verdict } = await appraiseTls(proxy, evidence)
    last = { verdict, maxAge, keysHash: hashOf(Buffer.concat(keys)), postQuantum: isPostQuantum(socket) }
    return { keys, maxAge }
  }, options)
  /** @throws errors that say what to do */
  function explained<T> (done: Promise<T>): Promise<T> {
    return done.catch((cause: unknown) => {
      if (cause instanceof Error && 'code' in cause && /^ERR_(?:POLARIS|ATTESTATION)/.test(String(cause.code))) throw cause
      const reason = networkReason(cause) ?? (cause instanceof Error ? cause.message : 'unknown error')
      throw new PolarisFetchError(
        'ERR_POLARIS_KEYS_UNAVAILABLE', `${proxy.baseURL} cannot be reached: ${reason}. Nothing was sent`, { cause }
      )
    })
  }

  return {
    pinned,
    connect: application => explained(pinned.connect(application)),
    async prove () {
      await explained(pinned.verify(true))
      if (last === undefined) throw new TypeError('Verified without a proof')
      return { ...last, key: {} }
    }
  }
}

function hashOf (keys: Uint8Array): string {
  return createHash('sha256').update(keys).digest('hex')
}
