/** What the protocols have in common: one request there, one response back. Redirects are none of their business. */
import type { Field } from '../../../lib/protocols/bhttp/bhttp.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import type { RequestBody } from '../request/body.ts'
import type { Target } from '../request/target.ts'

export interface PlainRequest {
  readonly target: Target
  readonly method: string
  /** A list is sent as it is: its names are in lower case, and none concerns one connection only. */
  readonly headers: Headers | readonly Field[]
  readonly body: RequestBody | undefined
  readonly signal: AbortSignal
}

export interface PlainResponse {
  readonly status: number
  readonly headers: Headers
  /** Null where there can be none. Errors where it cannot be proven complete. */
  readonly body: ReadableStream<Bytes> | null
}

export type Transport = (request: PlainRequest) => Promise<PlainResponse>

/** Of one connection, framing included, or set by each protocol itself. */
const CONNECTION_HEADERS = new Set([
  'connection', 'content-length', 'date', 'expect', 'host', 'keep-alive', 'proxy-connection', 'te', 'trailer',
  'transfer-encoding', 'upgrade'
])

/** Names and values of the headers that are for the workload. */
export function endToEnd (headers: Headers | readonly Field[]): readonly Field[] {
  if (!(headers instanceof Headers)) return headers
  const fields: [string, string][] = []
  headers.forEach((value, name) => { if (!CONNECTION_HEADERS.has(name)) fields.push([name, value]) })
  // As fetch does.
  if (!headers.has('accept')) fields.push(['accept', '*/*'])
  return fields
}

/** Whether a response has no body whatever its headers say (RFC 9110, section 6.4.1). */
export function isBodiless (method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 205 || status === 304
}
