/** Redirects as the Fetch Standard has them ("HTTP-redirect fetch"): each step is a new request, encrypted again. */
import type { RequestBody } from './body.ts'
import { RedirectError } from '../errors.ts'
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

/** @throws {RedirectError} and what the transport throws */
export async function follow (
  transport: Transport, base: Base, first: PlainRequest, mode: Request['redirect']
): Promise<Followed> {
  let request = first
  for (let redirects = 0; ; redirects++) {
    const response = await transport(request)
    const done = { response, target: request.target, redirected: redirects > 0 }
    if (!STATUSES.has(response.status) || mode === 'manual') return done
    const header = response.headers.get('location')
    const location = header === null ? undefined : decodeUtf8(header)
    if (mode === 'error') {
      throw await refuse(
        response, location, 'The workload answered with a redirect, which redirect: \'error\' rules out'
      )
    }
    if (location === undefined) return done
    if (redirects === MAX_REDIRECTS) {
      throw await refuse(
        response, location, `There were more than ${MAX_REDIRECTS} redirects: the workload may redirect in a circle`
      )
    }
    const target = await locateNext(response, base, location, request.target)
    const next = nextRequest(request, response.status, target)
    if (next === undefined) {
      throw await refuse(response, location, 'The workload redirects a request whose body is a stream that has been ' +
        'read: send it to the new address, the location of this error')
    }
    await response.body?.cancel()
    request = next
  }
}

async function locateNext (response: PlainResponse, base: Base, location: string, from: Target): Promise<Target> {
  try {
    return locate(base, sameScheme(base, location), from)
  } catch (cause) {
    const below = base.origin + base.prefix
    throw await refuse(response, location, `The workload redirects to ${place(
      location, base
    )}, which is not below ${below}, and following would leave the encryption. ` +
      `If that is the workload itself, have it redirect to paths, or tell it that it is reached at ${below}; ` +
        'otherwise take the place from this error\'s location, or use redirect: \'manual\'', cause)
  }
}

/**
 * Behind a load balancer that ends TLS, workloads take their own scheme for http. That it is https here makes no
 * difference to where the request goes, or to its encryption.
 */
function sameScheme ({ origin }: Base, location: string): string {
  const url = URL.canParse(location) ? new URL(location) : undefined
  const ours = new URL(origin)
  if (url?.protocol !== 'http:' || ours.protocol !== 'https:' || url.hostname !== ours.hostname) return location
  if (url.port !== '' && url.port !== (ours.port || '443')) return location
  return origin + url.href.slice(url.origin.length)
}

/** The origin alone: paths and queries were encrypted, and can hold secrets that belong into no log. */
function place (location: string, { origin }: Base): string {
  const url = URL.canParse(location, origin) ? new URL(location, origin) : undefined
  if (url === undefined) return 'something that is not a URL'
  if (url.origin === 'null') return `a ${url.protocol} URL`
  return url.username === '' && url.password === '' ? url.origin : `${url.origin} with credentials in the URL`
}

/** Header bytes are Latin-1 to fetch, while a Location that is not ASCII is UTF-8 in practice, and to every browser. */
function decodeUtf8 (value: string): string {
  return new TextDecoder().decode(Uint8Array.from(value, character => character.charCodeAt(0)))
}

/** Undefined where the body would have to be sent again, and cannot be. */
function nextRequest (request: PlainRequest, status: number, target: Target): PlainRequest | undefined {
  const { method, body } = request
  if (status !== 303 && isStream(body)) return undefined
  const becomesGet = ((status === 301 || status === 302) && method === 'POST') ||
    (status === 303 && method !== 'GET' && method !== 'HEAD')
  if (!becomesGet) return { ...request, target }
  const headers = new Headers([...request.headers] as [string, string][])
  for (const name of BODY_HEADERS) headers.delete(name)
  return { ...request, target, method: 'GET', headers, body: undefined }
}

function isStream (body: RequestBody | undefined): boolean {
  return body !== undefined && 'open' in body && !body.replayable
}

async function refuse (
  response: PlainResponse, location: string | undefined, message: string, cause?: unknown
): Promise<RedirectError> {
  await response.body?.cancel()
  return new RedirectError(message, location, { cause })
}
