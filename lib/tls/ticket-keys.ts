/**
 * What session tickets are encrypted with: random, and gone after an hour, so that a ticket key that leaks later opens
 * no recorded session. Workers of one process share it, so that a session begun with one resumes with another.
 */
import { hkdfSync, randomBytes } from 'node:crypto'

export interface TicketKeys {
  /** 32 bytes. */
  current (): Uint8Array
  /** Calls the listener when there is another. */
  onChange (listener: () => void): void
  close (): void
}

const SECRET_BYTES = 32
const ROTATION_MS = 3_600_000
/** What Node takes: name, HMAC key, AES key, 16 bytes each. */
const NODE_BYTES = 48

export function createTicketKeys (rotation = ROTATION_MS): TicketKeys {
  const listeners: (() => void)[] = []
  let secret = randomBytes(SECRET_BYTES)
  const timer = setInterval(() => {
    secret.fill(0)
    secret = randomBytes(SECRET_BYTES)
    for (const listener of listeners) listener()
  }, rotation).unref()
  return {
    current: () => secret,
    onChange (listener) { listeners.push(listener) },
    close: () => clearInterval(timer)
  }
}

/** As Node's `setTicketKeys` takes it. With another TLS key it is another, so that no session outlives its key. */
export function ticketKeyFor (secret: Uint8Array, pin: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, new Uint8Array(), `polaris tls tickets ${pin}`, NODE_BYTES))
}
