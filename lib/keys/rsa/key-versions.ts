/**
 * A key provider made of key versions that are fetched: in the background at start, and again on request. What differs
 * between providers is only how one set of versions is fetched; everything that must never differ is here.
 */
import { RemoteError } from '../../remote/error.ts'
import { KeysBusyError, UnwrapError } from '../provider.ts'
import type { KeyProvider, KeyStatus, PublishedKey } from '../provider.ts'
import { retry } from '../../remote/retry.ts'
import type { RetryPolicy } from '../../remote/retry.ts'
import type { Bytes } from '../../protocols/bytes.ts'

/** Where providers write to. They never log tokens, key material or bodies. */
export interface KeyLog {
  info (details: object, message: string): void
  warn (details: object, message: string): void
  error (details: object, message: string): void
}

/** One private key, wherever it is. */
export interface KeyVersion {
  readonly published: PublishedKey
  /** As `KeyProvider.unwrap`. */
  unwrap (wrapped: Uint8Array): Promise<Bytes>
  /** As `KeyProvider.deriveSecret`. */
  deriveSecret? (info: string, length: number): Promise<Bytes>
  /** Accepts nothing more; finishes what was accepted. */
  close (): void
}

/** Versions held at present, by key id. */
export type KnownVersions = (keyId: string) => KeyVersion | undefined

/** Settings that all fetching providers share. */
export interface FetchOptions {
  readonly retry?: RetryPolicy
  /**
   * Milliseconds for which a version that is no longer listed still decrypts, for clients that hold it. Default:
   * 900 000.
   */
  readonly retireAfter?: number
  /** Milliseconds from a start that failed, for whatever may pass, to the next attempt at one. Default: 60 000. */
  readonly startAgainAfter?: number
}

export interface KeySource extends FetchOptions {
  /** Where the keys come from, for the log. */
  readonly name: string
  readonly remote: boolean
  /**
   * Fetches all versions, newest first: one attempt. A version that is known already is to be returned as it is rather
   * than made again: it carries its queue and its circuit.
   *
   * @throws {RemoteError} with the reason
   */
  load (known: KnownVersions, signal: AbortSignal): Promise<readonly KeyVersion[]>
  /** Lets go of what loading needed. */
  close? (): Promise<void> | void
}

/**
 * Loads one version per name, newest first; for `KeySource.load`. The newest must be had. An older one that is refused
 * or unusable is left out with a warning, lest a version that was disabled or destroyed take the service with it.
 */
export async function loadVersions (
  names: readonly string[], load: (name: string) => Promise<KeyVersion>, source: string, log: KeyLog
): Promise<readonly KeyVersion[]> {
  const versions = new Map<string, KeyVersion>()
  for (const [index, name] of names.entries()) {
    try {
      const version = await load(name)
      versions.set(version.published.keyId, version)
    } catch (error) {
      if (index === 0 || !(error instanceof RemoteError) || error.kind === 'transient') throw error
      const details = { source, version: name, code: error.code, kind: error.kind, providerCode: error.providerCode }
      log.warn(details, `ignoring an older key version: ${error.message}. ${error.advice}.`)
    }
  }
  return [...versions.values()]
}

const RETIRE_AFTER = 15 * 60_000
const START_AGAIN_AFTER = 60_000

/** Begins to fetch at once. */
export function createVersionedProvider (source: KeySource, log: KeyLog): KeyProvider {
  const closing = new AbortController()
  const retired = new Map<string, { version: KeyVersion, timer: NodeJS.Timeout }>()
  let current: readonly KeyVersion[] = []
  let keys: readonly PublishedKey[] = []
  let status: KeyStatus = { ready: false, reason: 'fetching the keys' }
  let attempt: Promise<void> | undefined
  let nextStart: NodeJS.Timeout | undefined

  const find = (keyId: string): KeyVersion | undefined =>
    current.find(({ published }) => published.keyId === keyId) ?? retired.get(keyId)?.version

  async function fetch (): Promise<void> {
    adopt(await retry(async signal => {
      const versions = await source.load(find, signal)
      if (versions.length > 0) return versions
      throw new RemoteError(
        'configuration', 'No key is configured', { providerCode: 'NO_KEY', advice: 'Name at least one key' }
      )
    }, source.retry ?? {}, closing.signal, report))
  }

  function adopt (versions: readonly KeyVersion[]): void {
    const before = keys.map(({ keyId }) => keyId)
    for (const version of current) if (!versions.includes(version)) retire(version)
    for (const { published: { keyId } } of versions) {
      clearTimeout(retired.get(keyId)?.timer)
      retired.delete(keyId)
    }
    current = versions
    keys = versions.map(({ published }) => published)
    status = { ready: true }
    const now = keys.map(({ keyId }) => keyId)
    if (now.join() !== before.join()) log.info({ source: source.name, keyIds: now }, 'Keys are in use')
  }

  /** Keeps a version that is no longer listed for clients that fetched it a moment ago. */
  function retire (version: KeyVersion): void {
    const { keyId } = version.published
    const timer = setTimeout(() => {
      retired.delete(keyId)
      version.close()
    }, source.retireAfter ?? RETIRE_AFTER)
    timer.unref()
    retired.set(keyId, { version, timer })
  }

  function report (error: RemoteError, attempt: number, retryIn: number | undefined): void {
    if (!status.ready) status = { ready: false, reason: error.message }
    const details = {
      source: source.name, code: error.code, kind: error.kind, providerCode: error.providerCode, attempt, retryIn
    }
    const inUse = keys.length > 0 ? ' Continuing with the keys fetched before.' : ''
    const message = `${error.message}. ${error.advice}.${inUse}`
    if (error.kind === 'transient' && retryIn !== undefined) log.warn(details, message)
    else log.error(details, message)
  }

  function refresh (): Promise<void> {
    if (closing.signal.aborted) return Promise.reject(closing.signal.reason)
    clearTimeout(nextStart)
    attempt ??= fetch().catch(startAgain).finally(() => { attempt = undefined })
    return attempt
  }

  /** Without keys there is nothing to serve with: what may pass by itself is waited for, however long it takes. */
  function startAgain (error: unknown): never {
    const isFinal = error instanceof RemoteError && error.kind === 'configuration'
    if (keys.length === 0 && !isFinal && !closing.signal.aborted) {
      nextStart = setTimeout(
        () => { refresh().catch(() => undefined) }, source.startAgainAfter ?? START_AGAIN_AFTER
      ).unref()
    }
    throw error
  }

  function lookUp (keyId: string): KeyVersion {
    const version = find(keyId)
    if (version !== undefined) return version
    // Before the first fetch no client can know a key id; but after a restart, clients still hold those of before.
    throw keys.length === 0 ? new KeysBusyError() : new UnwrapError()
  }

  const ready = refresh()
  // A failure was reported where it happened; whether anyone awaits the promise must not decide over the process.
  ready.catch(() => undefined)

  return {
    remote: source.remote,
    ready,
    status: () => status,
    publicKeys: () => keys,
    retiring: () => [...retired.keys()].reverse(),
    unwrap: async (keyId, wrapped) => lookUp(keyId).unwrap(wrapped),
    ...(!source.remote && {
      async deriveSecret (keyId: string, info: string, length: number) {
        const version = lookUp(keyId)
        if (version.deriveSecret === undefined) throw new TypeError('This key derives no secrets')
        return version.deriveSecret(info, length)
      }
    }),
    refresh,

    async close () {
      closing.abort(new Error('The key provider is closed'))
      clearTimeout(nextStart)
      status = { ready: false, reason: 'closed' }
      await Promise.allSettled([attempt])
      for (const { version, timer } of retired.values()) {
        clearTimeout(timer)
        version.close()
      }
      for (const version of current) version.close()
      await source.close?.()
    }
  }
}
