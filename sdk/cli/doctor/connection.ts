/** From here to there: the environment, the name, the connection, the certificate. */
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { connect, isIP } from 'node:net'
import * as tls from 'node:tls'
import { findings } from './finding.ts'
import type { Finding, Patient } from './finding.ts'

const MAX_ADDRESSES = 4
const SOON_DAYS = 14

export function checkEnvironment ({ url, network }: Patient): Finding[] {
  const { ok, warning, problem } = findings('environment')
  const found: Finding[] = []
  const proxy = network.forwardProxy(url)
  found.push(proxy === undefined
    ? ok(`Node ${process.versions.node}; no forward proxy is in force for ${url.host}`)
    : warning(
      `Node ${process.versions.node}; ${proxy.variable} sends requests for ${url.host} through ${proxy.url.origin}`,
      `If that is not intended, name ${url.hostname} in NO_PROXY`
    ))
  if (process.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    found.push(problem(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 switches off the verification of all certificates',
      'Unset it, and name the certificate authority with --cacert'
    ))
  }
  return found
}

/** @returns undefined as addresses if there are none to connect to */
export async function checkName ({ url, network }: Patient): Promise<{ finding: Finding, addresses: string[] }> {
  const { ok, skipped, problem } = findings('dns')
  const host = hostOf(url)
  if (network.forwardProxy(url) !== undefined) {
    return { finding: skipped('The forward proxy resolves names'), addresses: [] }
  }
  if (isIP(host) !== 0) return { finding: skipped(`${host} is an address`), addresses: [host] }
  try {
    const addresses = (await lookup(host, { all: true })).map(({ address }) => address)
    return { finding: ok(`${host} is ${addresses.join(', ')}`), addresses }
  } catch (error) {
    const code = codeOf(error)
    return {
      finding: problem(`${host} cannot be resolved: ${code}`, code === 'ENOTFOUND'
        ? 'Check whether the name is spelt right and has a record in DNS; a name that is internal needs the VPN or ' +
          'resolver that knows it'
        : 'Check whether this machine reaches its resolver (/etc/resolv.conf)'),
      addresses: []
    }
  }
}

export async function checkConnection ({ url, timeout }: Patient, addresses: readonly string[]): Promise<Finding> {
  const { ok, skipped, warning, problem } = findings('tcp')
  if (addresses.length === 0) return skipped('There is no address to connect to')
  const port = portOf(url)
  const tried = await Promise.all(addresses.slice(0, MAX_ADDRESSES).map(
    async address => ({ address, failure: await tryConnection(address, port, timeout) })
  ))
  const failed = tried.filter(({ failure }) => failure !== undefined)
  const told = failed.map(({ address, failure }) => `${address}: ${failure}`).join(', ')
  if (failed.length === 0) {
    return ok(`${tried.map(({ address }) => address).join(', ')} accept${tried.length === 1
      ? 's'
      : ''} connections on port ${port}`)
  }
  if (failed.length < tried.length) {
    return warning(
      `Some addresses accept no connections on port ${port}: ${told}`,
      'Some clients will be slow or fail: take those addresses out of DNS, or have something listen there'
    )
  }
  return problem(`No connection to port ${port}: ${told}`, failed.some(({ failure }) => failure === 'ECONNREFUSED')
    ? 'Nothing listens there: see whether the proxy runs, on which HOST and PORT, and whether the port is published'
    : 'Nothing answers: see firewalls, security groups and routes on the way')
}

async function tryConnection (host: string, port: number, timeout: number): Promise<string | undefined> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(timeout) })
    return undefined
  } catch (error) {
    return error instanceof Error && error.name === 'AbortError' ? 'no answer in time' : codeOf(error)
  } finally {
    socket.destroy()
  }
}

export async function checkTls ({ url, network, timeout }: Patient, addresses: readonly string[]): Promise<Finding> {
  const { ok, skipped, warning, problem } = findings('tls')
  if (url.protocol !== 'https:') {
    return skipped('The URL is http: content is encrypted to the proxy\'s keys all the same, but without --policy ' +
      'nothing makes those authentic')
  }
  if (addresses.length === 0) {
    return skipped(network.forwardProxy(url) === undefined
      ? 'There is no address to connect to'
      : 'Seen by the requests below, through the forward proxy')
  }
  const host = hostOf(url)
  const socket = tls.connect({
    host,
    port: portOf(url),
    ...isIP(host) === 0 && { servername: host },
    rejectUnauthorized: false,
    ...network.ca && { ca: [...network.ca] }
  })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(timeout) })
    const { subject, issuer, valid_to: until } = socket.getPeerCertificate()
    const by = String(issuer?.O ?? issuer?.CN ?? 'an unnamed authority')
    if (!socket.authorized) {
      const reason = String(socket.authorizationError)
      return problem(`The certificate is not accepted (${reason}): of ${String(subject?.CN ??
        'no name')}, issued by ${by}, until ${until}`, adviceFor(reason))
    }
    const days = Math.floor((Date.parse(until) - Date.now()) / 86_400_000)
    const about = `${socket.getProtocol()}, a certificate issued by ${by}, until ${until}`
    return days < SOON_DAYS ? warning(`${about}: ${days} days`, 'Renew it') : ok(about)
  } catch (error) {
    return problem(`No TLS connection: ${error instanceof Error && error.name === 'AbortError'
      ? 'no answer in time'
      : codeOf(error)}`, 'Check whether what listens there speaks TLS; if it does not, the URL begins with http:')
  } finally {
    socket.destroy()
  }
}

function adviceFor (reason: string): string {
  if (/EXPIRED/.test(reason)) return 'Renew the certificate, or set this machine\'s clock'
  if (/ALTNAME|HOSTNAME/.test(reason)) return 'Use a name that the certificate is for, or have one issued for this name'
  return 'If the authority is your company\'s, or that of a proxy that intercepts TLS, give it with --cacert; ' +
    'otherwise do not go on'
}

function hostOf ({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

function portOf ({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
}

function codeOf (error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return error instanceof Error ? 'code' in error ? String(error.code) : error.message : 'unknown error'
}
