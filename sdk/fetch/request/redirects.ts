/** Redirects as the Fetch Standard has them ("HTTP-redirect fetch"): each step is a request of its own, encrypted anew. */
import type { RequestBody } from './body.ts'
import { PolarisFetchError } from '../errors.ts'
import { locate } from './target.ts'
import type { Base, Target } from './target.ts'
import type { PlainRequest, PlainResponse, Transport } from '../transport/transport.ts'

const MAX_REDIRECTS = 20
const STATUSES = new Set([301, 302, 303, 307, 308])
/** Go with the body, where that is left behind. */
const BODY_HEADERS = ['content-encoding', 'content-language', 'content-location', 'content-type']

export interface Followed {
  readonly response: PlainResponse
  /** Of the last step. */
  readonly target: Target
  readonly redirected: boolean
}

/** @throws {PolarisFetchError} ERR_POLARIS_REDIRECT, and what the transport throws */
export async function follow (transport: Transport, base: Base, first: PlainRequest, mode: Request['redirect']): Promise<Followed> {
  let request = first
  for (let redirects = 0; ; redirects++) {
    const response = await transport(request)
    const done = { response, target: request.target, redirected: redirects > 0 }
    if (!STATUSES.has(response.status) || mode === 'manual') return done
    const location = response.headers.get('location')
    if (mode === 'error') throw await refuse(response, 'The workload answered with a redirect, which redirect: \'error\' rules out')
    if (location === null) return done
    if (redirects === MAX_REDIRECTS) throw await refuse(response, `There were more than ${MAX_REDIRECTS} redirects`)
    const target = await locateNext(response, base, location, request.target)
    const next = nextRequest(request, response.status, target)
    if (next === undefined) throw await refuse(response, 'The workload redirects a request whose body is a stream that has been read: send it to the new place')
    await response.body?.cancel()
    request = next
  }
}

async function locateNext (response: PlainResponse, base: Base, location: string, from: Target): Promise<Target> {
  try {
    return locate(base, location, from)
  } catch (cause) {
    throw await refuse(response, 'The workload redirects to a place that is not below baseURL, and following would leave the encryption. Use redirect: \'manual\' to see where', cause)
  }
}

/** Undefined where the body would have to be sent again, and cannot be. */
function nextRequest (request: PlainRequest, status: number, target: Target): PlainRequest | undefined {
  const { method, body } = request
  if (status !== 303 && isStream(body)) return undefined
  const becomesGet = ((status === 301 || status === 302) && method === 'POST') || (status === 303 && method !== 'GET' && method !== 'HEAD')
  if (!becomesGet) return { ...request, target }
  const headers = new Headers([...request.headers] as [string, string][])
  for (const name of BODY_HEADERS) headers.delete(name)
  return { ...request, target, method: 'GET', headers, body: undefined }
}

function isStream (body: RequestBody | undefined): boolean {
  return body !== undefined && 'open' in body && !body.replayable
}

async function refuse (response: PlainResponse, message: string, cause?: unknown): Promise<PolarisFetchError> {
  await response.body?.cancel()
  return new PolarisFetchError('ERR_POLARIS_REDIRECT', message, { cause })
}
