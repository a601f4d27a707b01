/**
 * How the command reaches proxies and issuers: through the forward proxies that the environment names, trusting the
 * certificate authorities that the user adds, and without limits on time by default.
 */
import { readFile } from 'node:fs/promises'
import * as tls from 'node:tls'
import { Option } from 'commander'
import type { Command } from 'commander'
import { Agent, ProxyAgent, fetch as undiciFetch } from 'undici'
import { UsageError } from '../status.ts'
import { parseSeconds } from '../values.ts'
import { ForwardProxyError, forwardProxyFor } from './forward-proxy.ts'
import type { Environment, ForwardProxy } from './forward-proxy.ts'

export interface NetworkOptions {
  /** Path of a file with certificates, PEM. */
  readonly cacert?: string
  /** In milliseconds. */
  readonly connectTimeout?: number
}

export interface Network {
  readonly fetch: typeof globalThis.fetch
  /** The forward proxy on the way to a URL. */
  forwardProxy (url: URL): ForwardProxy | undefined
  /** For tools that make connections of their own. */
  readonly ca: readonly string[] | undefined
}

const CONNECT_TIMEOUT_MS = 30_000

/** The options that every command with a network has. */
export function withNetworkOptions (command: Command): Command {
  return command
    .option(
      '--cacert <file>',
      'trust these certificate authorities as well (PEM), such as that of a proxy that intercepts TLS'
    )
    .addOption(new Option(
      '--connect-timeout <seconds>', 'for a connection to be made; default: 30'
    ).argParser(parseSeconds('--connect-timeout')))
}

/** @throws {UsageError} the file, or a variable of the environment */
export async function openNetwork (
  { cacert, connectTimeout = CONNECT_TIMEOUT_MS }: NetworkOptions, environment: Environment = process.env
): Promise<Network> {
  const ca = cacert === undefined ? undefined : [...trustedRoots(), await readCertificates(cacert)]
  const connect = { timeout: connectTimeout, ...ca && { ca } }
  const limits = { headersTimeout: 0, bodyTimeout: 0, connect }
  const direct = new Agent(limits)
  const agents = new Map<string, ProxyAgent>()

  function throughProxy ({ url }: ForwardProxy): ProxyAgent {
    const known = agents.get(url.href)
    if (known !== undefined) return known
    const { username, password, origin } = url
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    const agent = new ProxyAgent({
      ...limits,
      uri: origin,
      requestTls: connect,
      proxyTls: connect,
      // As curl does: only TLS needs a tunnel, and many proxies open none to port 80.
      proxyTunnel: false,
      ...username !== '' && {
        token: `Basic ${Buffer.from(credentials).toString('base64')}`
      }
    })
    agents.set(url.href, agent)
    return agent
  }

  // A value that is no proxy is said at once, and not as a failed connection later.
  for (const scheme of ['http:', 'https:']) checkEnvironment(new URL(`${scheme}//proxy.invalid`), environment)

  const forwardProxy = (url: URL) => forwardProxyFor(url, environment)
  const fetch = (input: string | URL | Request, init?: RequestInit) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const proxy = forwardProxy(url)
    const dispatcher = proxy === undefined ? direct : throughProxy(proxy)
    return undiciFetch(
      url, { ...init, dispatcher } as Parameters<typeof undiciFetch>[1]
    ) as unknown as Promise<Response>
  }
  return { fetch: fetch as typeof globalThis.fetch, forwardProxy, ca }
}

/** @throws {UsageError} */
function checkEnvironment (url: URL, environment: Environment): void {
  try {
    forwardProxyFor(url, { ...environment, NO_PROXY: undefined, no_proxy: undefined })
  } catch (error) {
    throw error instanceof ForwardProxyError ? new UsageError(error.message) : error
  }
}

function trustedRoots (): readonly string[] {
  // Node before 22.15 knows only the ones that it brings along.
  return tls.getCACertificates?.('default') ?? tls.rootCertificates
}

async function readCertificates (file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read the certificates ${file}: ${error.code ?? 'unknown error'}`)
  })
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new UsageError(`there is no certificate in ${file}: it has to be PEM`)
  }
  return text
}
