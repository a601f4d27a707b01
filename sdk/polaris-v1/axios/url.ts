/** The URL that axios would request for a config. */
import { UnsupportedRequestError } from '../../errors.ts'
import { withoutTrailingSlashes } from '../../../lib/protocols/trailing-slashes.ts'
import { serializeParams } from './params.ts'
import type { AxiosConfigLike } from './types.ts'

/**
 * @returns an absolute http(s) URL, without fragment: it never leaves a client
 * @throws {UnsupportedRequestError}
 */
export function requestURL (config: AxiosConfigLike): URL {
  const url = parse(withParams(config))
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new UnsupportedRequestError(
      'Only absolute http or https URLs can be encrypted: set baseURL to the address of the proxy'
    )
  }
  url.hash = ''
  return url
}

/** In a browser, relative to the page. */
function parse (text: string): URL | undefined {
  const { location } = globalThis as { location?: { href: string } }
  try {
    return new URL(text, location?.href)
  } catch {
    return undefined
  }
}

function withParams (config: AxiosConfigLike): string {
  const url = withBase(config)
  const query = config.params ? serializeParams(config.params, config.paramsSerializer) : ''
  if (query === '') return url
  const [beforeFragment = ''] = url.split('#', 1)
  return `${beforeFragment}${beforeFragment.includes('?') ? '&' : '?'}${query}`
}

function withBase ({ url = '', baseURL, allowAbsoluteUrls }: AxiosConfigLike): string {
  const absolute = /^([a-z][a-z\d+.-]*:)?\/\//i.test(url)
  if (!baseURL || (absolute && allowAbsoluteUrls !== false)) return url
  return url === '' ? baseURL : `${withoutTrailingSlashes(baseURL)}/${url.replace(/^\/+/, '')}`
}
