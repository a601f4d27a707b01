/**
 * Requests that are encrypted at most by TLS: forwarded as they are, streaming both ways. Where encryption is required,
 * they pass only over TLS that ends in this process.
 */
import type { Readable } from 'node:stream'
import type { Exchange } from './exchange.ts'
import { requestHeaders } from '../http/headers.ts'
import { announcedLength, hasBody } from '../http/incoming.ts'
import type { IncomingRequest } from '../http/incoming.ts'
import { Problem } from '../http/problems.ts'
import { requestTrailers } from '../trailers/trailers.ts'
import { arrived } from '../streams/arrived.ts'
import { belowRoot, originForm, withoutAuthority } from '../http/target.ts'
import type { ProtocolDefinition } from './protocol.ts'

/** Takes whatever no other protocol recognised: the last of the registry. */
export const plain: ProtocolDefinition = {
  create: ({ config: { enableInputEncryption, contextRoot }, ownHeaders }) => [{
    name: 'plain',
    recognises: () => true,
    open (request) {
      if (enableInputEncryption && request.caller.confidential !== true) throw new Problem('encryption-required')
      const exchange = openPlain(request, { contextRoot, own: ownHeaders })
      return exchange.body === undefined ? exchange : withArrived(exchange, exchange.body)
    }
  }]
}

/** Small bodies have mostly arrived with their head, and then need no stream. */
async function withArrived (exchange: Exchange, body: Readable): Promise<Exchange> {
  const whole = await arrived(body, exchange.bodyLength)
  return whole === undefined ? exchange : { ...exchange, body: whole }
}

export interface PlainOptions {
  /** Removed from the front of targets; a target outside it is not found. Empty, or '/path'. */
  readonly contextRoot: string
  /** Lower-case names of the proxy's own headers. */
  readonly own: ReadonlySet<string>
}

/** @throws {Problem} bad-request, not-found */
export function openPlain (
  request: IncomingRequest, { contextRoot, own }: PlainOptions
): Exchange & { readonly body: Readable | undefined } {
  const body = hasBody(request)
  const bodyLength = body ? announcedLength(request) : undefined
  return {
    protocol: 'plain',
    method: request.method,
    target: belowRoot(originForm(withoutAuthority(request.target)), contextRoot),
    prefix: contextRoot,
    headers: requestHeaders(request.rawHeaders, own, request.caller, contextRoot),
    body: body ? request.payload : undefined,
    bodyLength,
    ...body && bodyLength === undefined && { trailers: () => requestTrailers(request.trailers(), own) }
  }
}
