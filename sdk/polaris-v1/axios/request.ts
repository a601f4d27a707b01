/** The axios request interceptor: seals path, headers and body with the legacy protocol. */
import { encodeBase64 } from '../../../lib/protocols/base64.ts'
import { UnsupportedRequestError } from '../../errors.ts'
import { checkNames } from '../../known-names.ts'
import { toOctets } from '../octets.ts'
import { createPublicKeys, fetchPublicKey } from '../public-keys.ts'
import { requestBody } from './body.ts'
import { recall, remember } from './exchange.ts'
import type { AxiosConfigLike, AxiosHeadersLike, MessageCrypto } from './types.ts'
import { requestURL } from './url.ts'

export interface HeaderNames {
  /** The sealed path and query. Default: polaris-url */
  url?: string
  /** The sealed headers. Default: polaris-secure */
  headers?: string
  /** The key to seal the response to. Default: polaris-response-public-key */
  responsePublicKey?: string
}

export interface CreateAxiosRequestInterceptorParams {
  polarisSDK: MessageCrypto
  /** Seal requests. Default: true */
  enableInputEncryption?: boolean
  /** Have responses sealed. Default: true */
  enableOutputEncryption?: boolean
  /** The proxy's key (SubjectPublicKeyInfo, PEM). Default: fetched from the proxy once, then kept. */
  publicKey?: string
  /** Where the proxy is mounted on its host. Default: at the root */
  polarisProxyBasePath?: string
  /** As configured at the proxy, where it is not the default. */
  headerNames?: HeaderNames
  /** Fetches the proxy's key. Default: the platform's */
  fetch?: typeof globalThis.fetch
}

/** What the proxy itself answers, unencrypted. Every other path is the workload's. */
const SYSTEM_PATHS = ['health', 'publicKey', 'logLevel', 'livez', 'readyz', 'startupz', 'keys', 'attestation', 'about']
  .map(name => `/polaris-container/${name}`)

/**
 * These describe the connection or the framing, and each connection has its own. `host` chooses the way to the proxy.
 */
const CONNECTION_HEADERS = [
  'connection', 'content-length', 'expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'
]

const OPTIONS: readonly (keyof CreateAxiosRequestInterceptorParams)[] = [
  'polarisSDK', 'enableInputEncryption', 'enableOutputEncryption', 'publicKey', 'polarisProxyBasePath', 'headerNames',
  'fetch'
]
const HEADER_NAMES: Required<HeaderNames> = {
  url: 'polaris-url', headers: 'polaris-secure', responsePublicKey: 'polaris-response-public-key'
}

const RESPONSE_TYPES = ['arraybuffer', 'blob', 'json', 'text']

/**
 * Register it before other request interceptors: axios runs the first one last, and what runs after it is not sealed.
 * Sealed parts are never also sent unencrypted. The method and the length of the body are visible, and so are cookies
 * that a browser adds by itself.
 *
 * @example
 * ```ts
 * import axios from 'axios'
 * import {
 *   EphemeralKeyHandler, PolarisSDK, createAxiosRequestInterceptor, createAxiosResponseInterceptor
 * } from '@polaris-secure-proxy/sdk'
 *
 * const polarisSDK = new PolarisSDK(new EphemeralKeyHandler())
 * const client = axios.create({ baseURL: 'https://proxy.example' })
 * client.interceptors.request.use(createAxiosRequestInterceptor({ polarisSDK }))
 * client.interceptors.response.use(createAxiosResponseInterceptor({ polarisSDK }))
 * const { data } = await client.post('/records', { patient: 4711 })
 * console.log(data)
 * ```
 *
 * @throws {TypeError} there is no such option: a misspelt one could leave something unprotected
 */
export function createAxiosRequestInterceptor (
  params: CreateAxiosRequestInterceptorParams
): <C extends AxiosConfigLike>(config: C) => Promise<C> {
  const {
    polarisSDK,
    enableInputEncryption = true,
    enableOutputEncryption = true,
    publicKey,
    polarisProxyBasePath = '',
    headerNames = {},
    fetch = globalThis.fetch
  } = params
  checkNames(params, OPTIONS, 'createAxiosRequestInterceptor has no option')
  checkNames(headerNames, Object.keys(HEADER_NAMES), 'headerNames has no member')
  const names = { ...HEADER_NAMES, ...headerNames }
  const basePath = `/${polarisProxyBasePath}/`.replace(/\/{2,}/g, '/')
  const systemPaths = new Set([...SYSTEM_PATHS, ...SYSTEM_PATHS.map(path => basePath.slice(0, -1) + path)])
  const keys = createPublicKeys((base, fresh) => fetchPublicKey(base, fetch, fresh))

  /** Everything into messages; only those, and what the transport needs, remain outside. */
  async function sealRequest (config: AxiosConfigLike, { url, base, key, responseKey }: Sealing): Promise<Sealed> {
    const seal = async (data: string) => encodeBase64(await polarisSDK.encrypt(data, key))

    const inner = config.headers.concat()
    const body = await requestBody(config, inner)
    authenticate(inner, config, url)
    const outer = inner.concat()
    outer.clear()
    // The proxy compares what is inside with what is outside: these two could be exchanged on the way.
    for (const headers of [inner, outer]) headers.set(names.responsePublicKey, responseKey ?? false)
    const target = await seal(url.pathname + url.search)
    for (const headers of [inner, outer]) headers.set(names.url, target)

    outer.set(names.headers, await seal(JSON.stringify(fields(inner))))
    outer.set('Content-Type', body ? 'application/octet-stream' : false)
    const host = inner.get('host')
    if (typeof host === 'string') outer.set('host', host)

    return {
      url: base,
      baseURL: undefined,
      params: undefined,
      auth: undefined,
      withXSRFToken: false,
      headers: outer,
      data: body && await polarisSDK.encrypt(body, key),
      transformRequest: [],
      // A redirect is for the workload's caller: following it here would send the same sealed request again.
      maxRedirects: 0
    }
  }

  return async <C extends AxiosConfigLike>(config: C): Promise<C> => {
    recall(config)
    const url = requestURL(config)
    if (systemPaths.has(url.pathname) || !(enableInputEncryption || enableOutputEncryption)) return config
    if (enableOutputEncryption && !RESPONSE_TYPES.includes(config.responseType ?? 'json')) {
      throw new UnsupportedRequestError(`responseType '${config.responseType}' is not possible, a sealed response ` +
        'opens only as a whole: use \'arraybuffer\', or createPolarisFetch, which streams')
    }

    const base = url.origin + basePath
    const responseKey = enableOutputEncryption ? encodeBase64(toOctets(await polarisSDK.getPublicKey())) : undefined
    const key = enableInputEncryption ? publicKey ?? await keys.get(base) : undefined
    const sent: Sealed = key === undefined
      ? { headers: config.headers.concat() }
      : await sealRequest(config, { url, base, key, responseKey })
    if (responseKey !== undefined) {
      sent.headers.set(names.responsePublicKey, responseKey)
      sent.responseType = 'arraybuffer'
      sent.transformResponse = []
      sent.maxContentLength = sealedLimit(config.maxContentLength)
    }
    remember({
      given: config,
      sent,
      sealedResponse: enableOutputEncryption,
      keyChanged: async () => key !== undefined && publicKey === undefined &&
        (await keys.get(base) !== key || await keys.renew(base) !== key)
    })
    return { ...config, ...sent }
  }
}

interface Sealing {
  url: URL
  /** Where the proxy is. */
  base: string
  key: string
  responseKey: string | undefined
}

type Sealed = Partial<AxiosConfigLike> & { headers: AxiosHeadersLike }

/** Credentials in the config or in the URL become the header that axios would have sent unencrypted (RFC 7617). */
function authenticate (headers: AxiosHeadersLike, { auth }: AxiosConfigLike, url: URL): void {
  const { username, password } = auth ?? {
    username: percentDecode(url.username), password: percentDecode(url.password)
  }
  if (auth || username || password) {
    headers.set('Authorization', `Basic ${encodeBase64(toOctets(`${username}:${password}`))}`)
  }
}

/** What is not percent-encoded is left as it is, as axios leaves it. */
function percentDecode (text: string): string {
  return /%(?![0-9a-f]{2})/i.test(text) ? text : decodeURIComponent(text)
}

/** @returns names to values, each one string (RFC 9110, section 5.3; cookies: RFC 9113, section 8.2.3) */
function fields (headers: AxiosHeadersLike): Record<string, string> {
  const pairs = Object.entries(headers.toJSON() as Record<string, unknown>)
    .filter(([name]) => !CONNECTION_HEADERS.includes(name.toLowerCase()))
    .map(([name, value]) => [
      name, Array.isArray(value) ? value.join(/^cookie$/i.test(name) ? '; ' : ', ') : String(value)
    ] as const)
  return Object.fromEntries(pairs)
}

/** The caller's limit is on what is opened; on the way it is base64 and has a header. */
function sealedLimit (limit: number | undefined): number | undefined {
  return limit === undefined || limit < 0 ? limit : Math.ceil((limit + 4096) / 3) * 4
}
