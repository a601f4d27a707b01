/** What a failed fetch says about the connection. Node names it, deep inside; browsers keep it to themselves. */

/** How far down the causes go, and how wide: an address with several IP addresses fails once for each. */
const MAX_CAUSES = 16

/** All that an error was caused by, itself first. */
function * causes (error: unknown): Generator<Error & { code?: unknown, syscall?: unknown }, void, void> {
  const pending = [error]
  for (let i = 0; i < MAX_CAUSES && pending.length > 0; i++) {
    const next = pending.shift()
    if (!(next instanceof Error)) continue
    yield next
    pending.push(next.cause, ...next instanceof AggregateError ? next.errors : [])
  }
}

/**
 * The reason in a few words, such as `ECONNREFUSED` or `self-signed certificate`; undefined where the platform says
 * none.
 */
export function networkReason (error: unknown): string | undefined {
  let message: string | undefined
  for (const { name, code, message: text } of causes(error)) {
    if (name === 'TimeoutError') return 'no answer in time'
    if (typeof code === 'string' && !(code === 'UND_ERR_SOCKET')) {
      return isShort(text) && !/^E[A-Z]+$/.test(code) ? `${text} (${code})` : code
    }
    if (name !== 'AggregateError' && isShort(text) && !/^(?:fetch failed|Failed to fetch|terminated)$/.test(text)) {
      message = text
    }
  }
  return message
}

function isShort (text: string): boolean {
  return text !== '' && text.length < 120 && !/[\r\n]/.test(text)
}

const TIMEOUTS = new Set<unknown>([
  'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT',
  'ERR_SOCKET_CONNECTION_TIMEOUT'
])

/** Whether a limit on time ended it, rather than the other side. */
export function isTimeout (error: unknown): boolean {
  for (const { name, code } of causes(error)) if (name === 'TimeoutError' || TIMEOUTS.has(code)) return true
  return false
}

const CONNECTING = new Set<unknown>(['connect', 'getaddrinfo'])

/** Whether there provably was no connection that anything could have been sent over. */
export function neverConnected (error: unknown): boolean {
  for (const { code, syscall } of causes(error)) {
    if (CONNECTING.has(syscall) || code === 'UND_ERR_CONNECT_TIMEOUT' || isCertificateError(code)) return true
  }
  return false
}

/** OpenSSL's reasons to refuse a certificate, as Node names them. */
function isCertificateError (code: unknown): boolean {
  return typeof code === 'string' &&
    (/^ERR_TLS_|^CERT_|_CERT|^HOSTNAME_MISMATCH$/.test(code) || code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
}
