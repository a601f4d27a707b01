/** A standard Response of what came back. */
import type { Followed } from '../request/redirects.ts'
import { decoded } from './codings.ts'
import { withErrors } from '../streams.ts'

/** `statusText` is empty, as over HTTP/2; `type` is 'default'. */
export function toResponse ({ response: { status, headers, body }, target: { url }, redirected }: Followed): Response {
  const about: About = { url, redirected, failure: undefined }
  const stream = body && withErrors(decoded(body, headers.get('content-encoding')), error => {
    about.failure = error
    return error
  })
  return describe(new Response(stream, { status, headers }), about)
}

interface About {
  readonly url: string
  readonly redirected: boolean
  /** What the body errored with. */
  failure: unknown
}

const READERS = ['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text'] as const

/**
 * What a constructed Response lacks. It has no URL, and a clone of it would have lost it again. And where its body
 * errors, Chromium's methods that read it reject with an error of their own, which says nothing.
 */
function describe (response: Response, about: About): Response {
  for (const name of READERS) {
    // Not every platform has all of them.
    const read = Response.prototype[name] as (() => Promise<unknown>) | undefined
    if (read !== undefined) {
      Object.defineProperty(
        response, name, { value: () => read.call(response).catch(error => { throw about.failure ?? error }) }
      )
    }
  }
  return Object.defineProperties(response, {
    url: { value: about.url },
    redirected: { value: about.redirected },
    clone: { value: () => describe(Response.prototype.clone.call(response), about) }
  })
}
