/**
 * TLS with a key that the proxy proves, in place of OHTTP. This part is for browsers, too: it finds out that they show
 * no program the key of a connection. The rest is in sdk/tls.
 */
import type { AttestationRecord } from '../attestation.ts'
import { PolarisFetchError } from '../errors.ts'
import type { AttestedSource } from '../keys/attested.ts'
import type { Base } from '../request/target.ts'
import type { Transport } from './transport.ts'

interface Pinned {
  verify (fresh: boolean): Promise<void>
}

type Prove = (fetch: typeof globalThis.fetch) => Promise<{ keys: readonly Uint8Array[], maxAge: number }>

/** sdk/tls/index.ts, as far as it is used here: that has types of Node's. */
export interface TlsModule {
  pinnedConnections (url: URL, prove: Prove): Pinned
  createTlsTransport (pinned: Pinned, base: Base): Transport
  openWebSocket (url: URL, options: {
    readonly prove: Prove, readonly protocols: string | string[], readonly headers: Record<string, string>
  }): Promise<WebSocket>
}

interface Host {
  readonly process?: { versions?: { node?: string } }
}

/** Whether programs can see the key of a connection here. What is built for browsers is without the rest. */
export function canPin (): boolean {
  return (globalThis as Host).process !== undefined && (globalThis as Host).process?.versions?.node !== undefined
}

/** Loaded when it is used. */
export async function loadTls (): Promise<TlsModule> {
  const loaded: unknown = (globalThis as Host).process === undefined
    ? undefined
    // Not followed by the compiler, which has no types of Node's here.
    : await import('../../tls/index.ts' as string)
  if (loaded === undefined) {
    throw new PolarisFetchError('ERR_POLARIS_KEYS_UNAVAILABLE', 'TLS keys cannot be seen here. Nothing was sent')
  }
  return loaded as TlsModule
}

/** Evidence is asked for by the given fetch, and has to cover TLS keys. */
export function prover (
  source: AttestedSource, record: AttestationRecord, baseURL: string, fetch: typeof globalThis.fetch
): Prove {
  return async overConnection => {
    const { maxAge } = await source({ baseURL, gatewayURL: baseURL, fetch, evidence: overConnection }, 'tls-spki')
    const keys = record.verdict?.keys ?? []
    return { keys: keys.filter(({ kind }) => kind === 'tls-spki').map(({ value }) => value), maxAge }
  }
}

export interface TlsConnection {
  readonly transport: Transport
  /** Proves the key of the proxy, if no proof counts, or anew. */
  verify (fresh: boolean): Promise<void>
}

export function createTlsConnection (base: Base, prove: Prove): TlsConnection {
  let loading: Promise<{ pinned: Pinned, transport: Transport }> | undefined
  function load () {
    loading ??= loadTls().then(tls => {
      const pinned = tls.pinnedConnections(new URL(base.origin), prove)
      return { pinned, transport: tls.createTlsTransport(pinned, base) }
    })
    return loading
  }
  return {
    transport: async request => (await load()).transport(request),
    verify: async fresh => (await load()).pinned.verify(fresh)
  }
}
