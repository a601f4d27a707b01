/** What the environment has to do with a connection that failed. */
import { AttestationFetchError } from '../../attestation/http.ts'
import { PolarisFetchError } from '../../fetch/errors.ts'
import { forwardProxyFor } from './forward-proxy.ts'
import type { Environment } from './forward-proxy.ts'

const CONNECTION_CODES = new Set([
  'ERR_POLARIS_KEYS_UNAVAILABLE', 'ERR_POLARIS_CONNECTION', 'ERR_POLARIS_TIMEOUT', 'ERR_POLARIS_NOT_A_GATEWAY',
  'ERR_POLARIS_REFUSED'
])

/**
 * Names the variable that sent a failed request through a forward proxy.
 *
 * @param url that was asked, if the error's message does not name one
 * @returns undefined if none did
 */
export function forwardProxyInForce (error: unknown, environment: Environment, url?: URL): string | undefined {
  const isConnection = error instanceof AttestationFetchError ||
    (error instanceof PolarisFetchError && CONNECTION_CODES.has(error.code))
  // An issuer that does not answer is named in the message.
  const named = isConnection ? /https?:\/\/[^\s/]+/.exec(error.message)?.[0] : undefined
  const place = named === undefined ? url : new URL(named)
  const proxy = isConnection && place !== undefined ? forwardProxyFor(place, environment) : undefined
  if (proxy === undefined || place === undefined) return undefined
  const certificate =
    place.protocol === 'https:' ? '; if it intercepts TLS, give its certificate authority with --cacert' : ''
  return `${proxy.variable} is in force, so this went through the forward proxy ${proxy.url.origin}: see whether it ` +
    `works, or name ${place.hostname} in NO_PROXY${certificate}`
}

/** The same as a line to print; empty if there is nothing to say. */
export function explainFrom (...given: Parameters<typeof forwardProxyInForce>): string {
  const sentence = forwardProxyInForce(...given)
  return sentence === undefined ? '' : `polaris: ${sentence}\n`
}
