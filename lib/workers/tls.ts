/**
 * What the primary has of TLS, for all workers: the secret of the keys, if it is this instance's own, and of tickets.
 */
import type { Config } from '../config/config.ts'
import type { KeyLog } from '../keys/rsa/key-versions.ts'
import type { RatchetState } from '../keys/hpke/epoch-secrets.ts'
import { epochAt } from '../keys/hpke/ring.ts'
import type { AcmeSource } from '../tls/acme/state.ts'
import type { TicketKeys } from '../tls/ticket-keys.ts'

export interface TlsForWorkers {
  readonly tickets: TicketKeys
  /** Undefined if no authority issues certificates. */
  readonly acme: AcmeSource | undefined
  /** For a worker: from the oldest epoch whose key is still covered. Undefined if workers derive the keys. */
  state (): RatchetState | undefined
}

/** Until workers have had a message, with a busy event loop; if one has not, the authority is asked again later. */
const SETTLE_MS = 1000

/** Undefined if TLS is off. @throws {ConfigError} */
export async function tlsForWorkers (config: Config, log: KeyLog): Promise<TlsForWorkers | undefined> {
  if (config.tls === 'off') return undefined
  const [{ createTicketKeys }, { tlsRatchet }] = await Promise.all([
    import('../tls/ticket-keys.ts'), import('../tls/secrets.ts')
  ])
  const ratchet = config.tls === 'attested' && config.hpkeSeed === 'instance' ? tlsRatchet(config) : undefined
  const acme = config.tls === 'acme'
    ? await (await import('../tls/acme/from-config.ts')).acmeSourceFrom(config, log, SETTLE_MS)
    : undefined
  return {
    tickets: createTicketKeys(),
    acme,
    state: () => ratchet?.stateAt(
      Math.max(ratchet.earliest ?? 0, epochAt(Date.now() - config.tlsOverlap, config.tlsRotation))
    )
  }
}
