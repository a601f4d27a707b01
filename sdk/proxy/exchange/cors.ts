/** CORS for the origins that --allow-origin names: answered here, since the workload knows nothing of this proxy. */
import type { IncomingMessage } from 'node:http'
import type { Field } from '../../../lib/protocols/bhttp/bhttp.ts'

/** For how long a browser need not ask again, in seconds. */
const PREFLIGHT_MAX_AGE = 600

/** What replaces the workload's own CORS headers. Empty for a request without Origin. */
export function corsFields ({ headers: { origin } }: IncomingMessage): Field[] {
  return origin === undefined
    ? []
    : [['access-control-allow-origin', origin], ['access-control-expose-headers', '*'], ['vary', 'origin']]
}

/** The headers that answer a preflight; undefined if the request is none. The guard has let its origin pass. */
export function preflight (request: IncomingMessage): Field[] | undefined {
  const { method, headers } = request
  const wanted = headers['access-control-request-method']
  if (method !== 'OPTIONS' || headers.origin === undefined || wanted === undefined) return undefined
  const names = headers['access-control-request-headers']
  return [
    ...corsFields(request),
    ['access-control-allow-methods', wanted],
    ...names === undefined ? [] : [['access-control-allow-headers', names]] as const,
    // A page of the public web asks for permission to call an address of this machine.
    ...headers['access-control-request-private-network'] === 'true'
      ? [['access-control-allow-private-network', 'true']] as const
      : [],
    ['access-control-max-age', String(PREFLIGHT_MAX_AGE)]
  ]
}
