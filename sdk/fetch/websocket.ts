/** WebSockets that are encrypted up to the TEE: by TLS with a key that was proven. */
import type { AttestationPolicy } from '../attestation/policy.ts'
import { UnsupportedRequestError } from '../errors.ts'
import { checkNames } from '../known-names.ts'
import { createRecord } from './attestation.ts'
import { createClock } from './clock.ts'
import { attestedKeys, optionsOf } from './keys/attested.ts'
import type { AttestationOptions } from './keys/attested.ts'
import { platformFetch } from './platform.ts'
import { canPin, loadTls, prover } from './transport/tls.ts'

export interface PolarisWebSocketOptions {
  /** What the proxy has to prove about its TLS key before a byte is sent. */
  readonly attestation: AttestationPolicy | AttestationOptions
  readonly protocols?: string | string[]
  /** For the handshake, such as `authorization`. */
  readonly headers?: Record<string, string>
  /** Where the proxy is mounted, if below a path. Default: the root. */
  readonly baseURL?: string | URL
}

/**
 * Opens a WebSocket on a connection whose TLS key the proxy has proven: Node only, since browsers show no program the
 * key of a connection.
 *
 * @example
 * ```ts
 * import { polarisWebSocket } from '@polaris-secure-proxy/sdk'
 *
 * const policy = { version: 1, development: true, insecure: true, platforms: { simulated: {} } } as const
 * const socket = await polarisWebSocket('wss://proxy.example', { attestation: policy })
 * socket.addEventListener('message', ({ data }) => {
 *   console.log(data)
 *   socket.close()
 * })
 * socket.send('hello')
 * ```
 *
 * @returns it, open
 * @throws {TlsKeyError} the connection has a key that the TEE has not proven
 * @throws {AttestationError | AttestationFetchError | AttestationDocumentError | PolarisFetchError}
 * @throws {UnsupportedRequestError} in browsers
 * @throws {TypeError} an argument is wrong
 */
export async function polarisWebSocket (
  url: string | URL, options: PolarisWebSocketOptions
): Promise<WebSocket> {
  const { attestation, protocols = [], headers = {}, baseURL } = options
  checkNames(
    options as unknown as Record<string, unknown>, ['attestation', 'protocols', 'headers', 'baseURL'],
    'polarisWebSocket has no option'
  )
  const address = new URL(url)
  if (!/^(?:wss|https):$/.test(address.protocol)) {
    throw new TypeError('polarisWebSocket takes a wss or https URL: the TLS port of the proxy itself')
  }
  if (attestation === undefined) throw new TypeError('polarisWebSocket needs attestation: what proves the key')
  if (!canPin()) {
    throw new UnsupportedRequestError(
      'Browsers show no program the TLS key of a connection, so nothing here can tell where a WebSocket ends'
    )
  }
  address.protocol = 'https:'
  const record = createRecord(optionsOf(attestation).onRenewalFailure)
  const source = attestedKeys(attestation, createClock(false), record)
  const base = String(baseURL ?? address.origin).replace(/\/$/, '')
  const { openWebSocket } = await loadTls()
  return openWebSocket(address, { prove: prover(source, record, base, platformFetch()), protocols, headers })
}
