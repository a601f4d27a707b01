/** A standard Response of what came back. */
import type { Bytes } from '../../lib/protocols/bytes.ts'
import type { Followed } from './redirects.ts'

/** Content codings that the platform can undo. The proxy asks for none; some workloads use one all the same. */
const CODINGS = new Map<string, CompressionFormat>([['gzip', 'gzip'], ['x-gzip', 'gzip'], ['deflate', 'deflate']])

type CompressionFormat = ConstructorParameters<typeof DecompressionStream>[0]

/** `statusText` is empty, as over HTTP/2; `type` is 'default'. */
export function toResponse ({ response: { status, headers, body }, target: { url }, redirected }: Followed): Response {
  return describe(new Response(body && decoded(body, headers), { status, headers }), { url, redirected })
}

function decoded (body: ReadableStream<Bytes>, headers: Headers): ReadableStream<Bytes> {
  const format = CODINGS.get(headers.get('content-encoding')?.trim().toLowerCase() ?? '')
  return format === undefined ? body : body.pipeThrough(new DecompressionStream(format)) as ReadableStream<Bytes>
}

/** A constructed Response has no URL; a clone of it would have lost it again. */
function describe (response: Response, about: { url: string, redirected: boolean }): Response {
  return Object.defineProperties(response, {
    url: { value: about.url },
    redirected: { value: about.redirected },
    clone: { value: () => describe(Response.prototype.clone.call(response), about) }
  })
}
