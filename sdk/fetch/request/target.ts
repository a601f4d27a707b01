/**
 * Which URLs go to the proxy, and what the workload is told of them.
 *
 * The root of the workload is at `baseURL`. With the base `https://api.example/confidential`, the URL
 * `https://api.example/confidential/users?x=1` reaches the workload as `/users?x=1`, just as if it were called
 * directly. What has no origin of its own, such as the `Location: /login` of a workload that knows nothing of the
 * prefix, is relative to that root.
 */
import { UnsupportedRequestError } from '../../errors.ts'
import { withoutTrailingSlashes } from '../../../lib/protocols/trailing-slashes.ts'
import { PolarisFetchError } from '../errors.ts'

export interface Base {
  readonly origin: string
  /** Of the path: empty, or starting with a slash and not ending with one. */
  readonly prefix: string
}

export interface Target {
  /** As the caller sees it, without fragment. */
  readonly url: string
  readonly scheme: string
  readonly authority: string
  /** As the workload sees it: path and query. */
  readonly path: string
}

/** @throws {TypeError} it is not a URL that a proxy can be at */
export function parseBase (baseURL: string | URL): Base {
  const { location } = globalThis as { location?: { href: string } }
  // In a page, relative to the page.
  const given = String(baseURL)
  const url = URL.canParse(given, location?.href) ? new URL(given, location?.href) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '' ||
    url.search !== '' || url.hash !== '') {
    const quoted = url === undefined ? `; it is ${JSON.stringify(given.slice(0, 100))}` : ''
    throw new TypeError(`baseURL must be an http or https URL without credentials, query and fragment${quoted}`)
  }
  return { origin: url.origin, prefix: withoutTrailingSlashes(url.pathname) }
}

/**
 * @param reference absolute, or relative to `from`, or else to the workload's root
 * @throws {PolarisFetchError} ERR_POLARIS_OTHER_ORIGIN
 * @throws {UnsupportedRequestError} there are credentials in it
 * @throws {TypeError} it is not a URL
 */
export function locate (
  { origin, prefix }: Base, reference: string, from: Pick<Target, 'path'> = { path: '/' }
): Target {
  const absolute = URL.canParse(reference)
  const url = absolute ? new URL(reference) : new URL(reference, origin + from.path)
  if (url.origin !== origin) throw otherOrigin(origin + prefix)
  if (url.username !== '' || url.password !== '') {
    throw new UnsupportedRequestError(
      'A URL with credentials cannot be fetched: put them into the Authorization header'
    )
  }
  url.hash = ''
  const full = url.href.slice(origin.length)
  const path = absolute ? withoutPrefix(full, prefix) : full
  if (path === undefined) throw otherOrigin(origin + prefix)
  return { url: origin + prefix + path, scheme: url.protocol.slice(0, -1), authority: url.host, path }
}

function withoutPrefix (full: string, prefix: string): string | undefined {
  if (!full.startsWith(prefix)) return undefined
  const path = full.slice(prefix.length)
  if (path === '' || path.startsWith('?')) return `/${path}`
  return path.startsWith('/') ? path : undefined
}

function otherOrigin (base: string): PolarisFetchError {
  return new PolarisFetchError('ERR_POLARIS_OTHER_ORIGIN', `The URL is not below ${base}, so this fetch does not ` +
    'send it: it would leave unencrypted. Use the platform\'s fetch for other servers')
}
