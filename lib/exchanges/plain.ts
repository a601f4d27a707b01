/** Unencrypted requests: forwarded as they are, streaming both ways. */
import type { Exchange } from './exchange.ts'
import { requestHeaders } from '../http/headers.ts'
import { Problem } from '../http/problems.ts'
import { announcedLength, hasBody, originForm } from '../http/incoming.ts'
import type { IncomingRequest } from '../http/incoming.ts'
import type { ProtocolDefinition } from './protocol.ts'

/** Takes whatever no other protocol recognised: the last of the registry. */
export const plain: ProtocolDefinition = {
  create: ({ config: { enableInputEncryption, contextRoot }, ownHeaders }) => [{
    name: 'plain',
    recognises: () => true,
    open (request) {
      if (enableInputEncryption) throw new Problem('encryption-required')
      return openPlain(request, { contextRoot, own: ownHeaders })
    }
  }]
}

export interface PlainOptions {
  /** Removed from the front of targets; a target outside it is not found. Empty, or '/path'. */
  readonly contextRoot: string
  /** Lower-case names of the proxy's own headers. */
  readonly own: ReadonlySet<string>
}

/** @throws {Problem} bad-request, body-not-allowed, not-found */
export function openPlain (request: IncomingRequest, { contextRoot, own }: PlainOptions): Exchange {
  const body = hasBody(request)
  if (body && (request.method === 'GET' || request.method === 'HEAD')) throw new Problem('body-not-allowed')
  return {
    protocol: 'plain',
    method: request.method,
    target: belowRoot(originForm(withoutAuthority(request.target)), contextRoot),
    headers: requestHeaders(request.rawHeaders, own, request.caller),
    body: body ? request.payload : undefined,
    bodyLength: body ? announcedLength(request) : undefined
  }
}

/** Absolute-form (RFC 9112, section 3.2.2), as clients send it to forward proxies: the authority is of no interest here. */
function withoutAuthority (target: string): string {
  const [front] = /^https?:\/\/[^/?#]*/i.exec(target) ?? []
  if (front === undefined) return target
  const rest = target.slice(front.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

function belowRoot (target: string, contextRoot: string): string {
  if (contextRoot === '') return target
  if (!target.startsWith(contextRoot)) throw new Problem('not-found')
  const rest = target.slice(contextRoot.length)
  if (rest === '' || rest.startsWith('?')) return `/${rest}`
  if (!rest.startsWith('/')) throw new Problem('not-found')
  return rest
}
