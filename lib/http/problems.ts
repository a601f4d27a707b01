/**
 * Every error that a client can see, as RFC 9457 problem details. What a client learns is in this table and nowhere
 * else: no cause, no address, no path, no part of what was sent.
 */

interface ProblemType {
  readonly status: number
  readonly title: string
  readonly detail: string
  /** Seconds after which it is worth trying again. */
  readonly retryAfter?: number
  /** Overrides the type URI, if another document registers it. */
  readonly type?: string
}

const table = {
  'bad-request': { status: 400, title: 'Bad request', detail: 'The request is not valid HTTP for this proxy.' },
  'encryption-required': {
    status: 400,
    title: 'Encryption required',
    detail: 'This proxy accepts encrypted requests only. Use the SDK, or see /polaris-container/health and the ' +
      'documentation.'
  },
  'tls-required': {
    status: 400,
    title: 'TLS required',
    detail: 'This proxy accepts encrypted traffic only. What encrypts a WebSocket is TLS that ends in the TEE: ' +
      'connect to the TLS port of the proxy itself, if it has one.'
  },
  'response-key-required': {
    status: 400,
    title: 'Response key required',
    detail: 'This proxy seals every response. Send your public key in the response key header.'
  },
  'cannot-open': {
    status: 400,
    title: 'Cannot open',
    detail: 'The request cannot be opened. Fetch the public key again and re-encrypt; if that does not help, client ' +
      'and proxy disagree about the protocol.'
  },
  'ohttp-key': {
    status: 422,
    title: 'Unknown key',
    detail: 'The key or its algorithms are unknown or expired. Fetch the key configuration again.',
    type: 'https://iana.org/assignments/http-problem-types#ohttp-key'
  },
  'ehbp-key': {
    status: 422,
    title: 'Unknown key',
    detail: 'The body does not open with any key of this proxy. Fetch the key again and re-encrypt.',
    type: 'urn:ietf:params:ehbp:error:key-config'
  },
  date: {
    status: 400,
    title: 'Date out of range',
    detail: 'The Date inside the request is too far from this proxy\'s clock. See this response\'s Date header for ' +
      'the proxy\'s clock.',
    type: 'https://iana.org/assignments/http-problem-types#date'
  },
  'date-missing': {
    status: 400,
    title: 'Date missing',
    detail: 'The encrypted request has no Date header, which replay protection needs. Add one with the current time.',
    type: 'https://iana.org/assignments/http-problem-types#date'
  },
  misdirected: {
    status: 421, title: 'Misdirected request', detail: 'This proxy does not serve the authority that the request names.'
  },
  'not-found': { status: 404, title: 'Not found', detail: 'This proxy has no such resource.' },
  'client-timeout': { status: 408, title: 'Request timeout', detail: 'The request did not arrive in time.' },
  'body-too-large': {
    status: 413,
    title: 'Body too large',
    detail: 'The body is larger than this proxy accepts with this protocol. Use chunked OHTTP, which streams bodies ' +
      'of any size.'
  },
  'unsupported-media-type': {
    status: 415, title: 'Unsupported media type', detail: 'This resource accepts other media types.'
  },
  'too-many-requests': { status: 429, title: 'Too many requests', detail: 'Try again later.', retryAfter: 1 },
  'headers-too-large': {
    status: 431,
    title: 'Headers too large',
    detail: 'The request target and headers are larger than this proxy accepts.'
  },
  internal: { status: 500, title: 'Internal error', detail: 'The proxy failed. Find the request id in its log.' },
  'transfer-coding': {
    status: 501,
    title: 'Transfer coding not supported',
    detail: 'This proxy decodes only the transfer coding chunked. Use a content coding.'
  },
  'no-tunnels': { status: 501, title: 'No tunnels', detail: 'CONNECT is not supported.' },
  'upstream-unreachable': {
    status: 502,
    title: 'Workload unreachable',
    detail: 'The workload does not accept connections, or broke off the exchange. It may have processed the request.'
  },
  'upstream-invalid': {
    status: 502, title: 'Invalid response', detail: 'The workload\'s response cannot be forwarded.'
  },
  'response-too-large': {
    status: 502,
    title: 'Response too large',
    detail: 'The workload\'s response is larger than this proxy can seal with this protocol. Use chunked OHTTP, ' +
      'which streams responses of any size.'
  },
  'upstream-timeout': {
    status: 504,
    title: 'Workload timeout',
    detail: 'The workload did not answer in time. It may have processed the request.'
  },
  'not-ready': {
    status: 503,
    title: 'Not ready',
    detail: 'The proxy is starting or stopping. See /polaris-container/readyz for the reason.',
    retryAfter: 1
  },
  'not-attested': {
    status: 503,
    title: 'Not attested',
    detail: 'The proxy has no current attestation evidence, so it forwards no requests. See ' +
      '/polaris-container/readyz for the reason.',
    retryAfter: 5
  },
  'attestation-unavailable': {
    status: 503,
    title: 'Attestation unavailable',
    detail: 'Attestation evidence is currently unavailable, or too many clients ask for it.',
    retryAfter: 1
  },
  'bad-nonce': { status: 400, title: 'Bad nonce', detail: 'A nonce is 16 to 64 bytes in base64url without padding.' },
  'replay-store': {
    status: 503,
    title: 'Replay protection unavailable',
    detail: 'Replay protection is unavailable, so the request was not forwarded.',
    retryAfter: 1
  },
  overloaded: {
    status: 503, title: 'Overloaded', detail: 'Too much work is queued. The request was not forwarded.', retryAfter: 1
  }
} as const satisfies Record<string, ProblemType>

export type ProblemCode = keyof typeof table

export const PROBLEM_MEDIA_TYPE = 'application/problem+json'
const TYPE_PREFIX = 'urn:polaris-secure-proxy:problem:'

/** Thrown anywhere in the proxy to answer with the problem named `code`. The cause stays inside. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly statusCode: number
  readonly retryAfter: number | undefined

  constructor (code: ProblemCode, options: ErrorOptions & { retryAfter?: number } = {}) {
    const entry: ProblemType = table[code]
    super(entry.title, options)
    this.code = code
    this.statusCode = entry.status
    this.retryAfter = options.retryAfter ?? entry.retryAfter
  }

  /** The response body. Byte-identical for a code, but for the request id. */
  body (requestId: string): string {
    const { type, status, title, detail }: ProblemType = table[this.code]
    return JSON.stringify({ type: type ?? TYPE_PREFIX + this.code, title, status, detail, requestId })
  }
}

/** For documentation and tests: all problems with their type URIs. */
export const problemTypes: readonly (ProblemType & { type: string })[] =
  Object.entries<ProblemType>(table).map(([code, entry]) => ({ ...entry, type: entry.type ?? TYPE_PREFIX + code }))
