/**
 * What the primary has of TLS, for all workers: the secret of the keys, if it is this instance's own, and of tickets.
 */
import type { Config } from '../config/config.ts'
import type { RatchetState } from '../keys/hpke/epoch-secrets.ts'
import { epochAt } from '../keys/hpke/ring.ts'
import type { TicketKeys } from '../tls/ticket-keys.ts'

export interface TlsForWorkers {
  readonly tickets: TicketKeys
  /** For a worker: from the oldest epoch whose key is still covered. Undefined if workers derive the keys. */
  state (): RatchetState | undefined
}

/** Undefined if TLS is off. */
export async function tlsForWorkers (config: Config): Promise<TlsForWorkers | undefined> {
  if (config.tls === 'off') return undefined
  const [{ createTicketKeys }, { tlsRatchet }] = await Promise.all([
    import('../tls/ticket-keys.ts'), import('../tls/secrets.ts')
  ])
  const ratchet = config.tls === 'attested' && config.hpkeSeed === 'instance' ? tlsRatchet(config) : undefined
  return {
    tickets: createTicketKeys(),
    state: () => ratchet?.stateAt(
      Math.max(ratchet.earliest ?? 0, epochAt(Date.now() - config.tlsOverlap, config.tlsRotation))
    )
  }
}
