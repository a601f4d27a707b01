/** polaris proxy URL: a proxy on this machine that encrypts what any program sends to it, to keys that are proven. */
import { once } from 'node:events'
import { Command, Option } from 'commander'
import { parseAttestationPolicy } from '../attestation/policy.ts'
import { parseUrl, readPolicy } from '../cli/appraise.ts'
import { explainFrom, forwardProxyInForce } from '../cli/network/explain.ts'
import { openNetwork, withNetworkOptions } from '../cli/network/network.ts'
import type { NetworkOptions } from '../cli/network/network.ts'
import { readProvenance, withProvenanceOptions } from '../cli/provenance.ts'
import type { ProvenanceOptions } from '../cli/provenance.ts'
import { COULD_NOT_ASK, REFUSED, UsageError, VERIFIED } from '../cli/status.ts'
import { renderVerdict } from '../cli/terminal/render.ts'
import { PolarisFetchError } from '../fetch/errors.ts'
import type { PostQuantum } from '../fetch/keys/published.ts'
import { addedHeaders } from './added-headers.ts'
import type { Proven } from './keys/proof.ts'
import { trustAnything, trustDevelopment, trustPolicy } from './keys/trust.ts'
import type { Trust } from './keys/trust.ts'
import { DEFAULT_LISTEN, parseListen } from './listen/address.ts'
import { watchCertificate } from './listen/tls.ts'
import { LOG_FORMATS, createLog } from './log.ts'
import { startLocalProxy } from './proxy.ts'
import type { LocalProxyOptions } from './proxy.ts'

interface ProxyOptions extends NetworkOptions, ProvenanceOptions {
  readonly policy?: string
  readonly development?: true
  readonly insecure?: true
  readonly listen?: string
  readonly allowRemote?: true
  readonly unix?: string
  readonly allowHost: string[]
  readonly allowOrigin: string[]
  readonly header: string[]
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly transport: 'ohttp' | 'tls'
  readonly postQuantum: PostQuantum
  readonly maxAge: number
  readonly log: typeof LOG_FORMATS[number]
}

const DEFAULT_MAX_AGE = 600

export function proxyCommand (): Command {
  return withNetworkOptions(withProvenanceOptions(new Command('proxy')
    .description('Listens on this machine and makes everything sent to it an encrypted exchange with a proxy that ' +
      'has proven its keys. For any program whose base URL can be set.')
    .argument('<url>', 'base URL of the proxy')
    .option('-p, --policy <file>', 'what to accept as proof')
    .option('--development', 'instead of a policy: accept any software, and simulated evidence')
    .option('--insecure', 'instead of a policy: encrypt to whatever key is offered')
    .option('-l, --listen <address:port>', `where to listen; default: ${DEFAULT_LISTEN}`)
    .option('--allow-remote', 'let --listen name an address that other machines reach')
    .option('--unix <path>', 'listen on a Unix domain socket instead, for this user alone')
    .addOption(list('--allow-host <name>', 'accept requests for this host too, as name or name:port'))
    .addOption(list('--allow-origin <origin>', 'let pages of this origin use it'))
    .addOption(list(
      '-H, --header <name: value>',
      'set this header on each request; \'name: @file\' takes the value from a file, and again when it changes'
    ))
    .option('--tls-cert <file>', 'listen with TLS: certificate chain, PEM; read again when it changes')
    .option('--tls-key <file>', 'private key of --tls-cert, PEM')
    .addOption(new Option(
      '--transport <how>', 'of requests: ohttp, or TLS with a key that the proxy proves; WebSocket and HTTP/2 go by TLS'
    ).choices(['ohttp', 'tls']).default('ohttp'))
    .addOption(new Option('--post-quantum <when>', 'use X25519 with ML-KEM-768').choices([
      'prefer', 'require', 'never'
    ]).default('prefer'))
    .addOption(new Option(
      '--max-age <seconds>', 'prove the keys again after this time'
    ).argParser(parseMaxAge).default(DEFAULT_MAX_AGE))
    .addOption(new Option(
      '--log <format>', 'on standard error; never a path, a header or a body'
    ).choices(LOG_FORMATS).default('text'))))
    .addHelpText('after', `
Exit status:
  ${VERIFIED}  stopped by SIGTERM or SIGINT, after what was in flight
  ${REFUSED}  refused: the proxy does not prove its keys; nothing was listened on
  ${COULD_NOT_ASK}  could not ask: no answer, no usable policy, wrong usage

Examples:
  $ polaris proxy https://proxy.example.com --policy policy.json
  $ curl http://${DEFAULT_LISTEN}/records
  $ OPENAI_BASE_URL=http://${DEFAULT_LISTEN}/v1 python app.py
  $ polaris proxy https://proxy.example.com -p policy.json -H 'authorization: @token.txt' --log json
`)
    .action(run)
}

/** May be given several times. */
function list (flags: string, description: string): Option {
  return new Option(flags, `${description}; may be given several times`)
    .argParser((value: string, previous: string[]) => [...previous, value]).default([], 'none')
}

function parseMaxAge (text: string): number {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (seconds < 1 || seconds > DEFAULT_MAX_AGE) {
    throw new UsageError(`--max-age must be from 1 to ${DEFAULT_MAX_AGE} seconds`)
  }
  return seconds
}

async function run (url: string, options: ProxyOptions): Promise<void> {
  const say = (text: string) => { process.stderr.write(text) }
  try {
    const settings = await prepare(url, options, say)
    const proxy = await startLocalProxy(settings)
    say(`polaris: listening on ${proxy.address}, for ${settings.baseURL}\n${examples(proxy.address)}`)
    await interrupted()
    await proxy.stop()
    process.exitCode = VERIFIED
  } catch (error) {
    if (!(error instanceof PolarisFetchError)) throw error
    say(`polaris: ${error.message}\n${explainFrom(error, process.env, new URL(url))}`)
    process.exitCode = COULD_NOT_ASK
  }
}

/** The first signal lets what is in flight finish; a second one has its default effect. */
async function interrupted (): Promise<void> {
  const first = new AbortController()
  await Promise.race(['SIGTERM', 'SIGINT'].map(name => once(process, name, { signal: first.signal })))
  first.abort()
}

/** Everything that can be wrong with how the command was called, before anything is asked. */
async function prepare (url: string, options: ProxyOptions, say: (text: string) => void): Promise<LocalProxyOptions> {
  const { username, password, search, hash } = parseUrl(url)
  if (username + password + search + hash !== '') {
    throw new UsageError('the base URL of a proxy has neither credentials nor a query')
  }
  if (options.unix !== undefined && options.listen !== undefined) {
    throw new UsageError('--unix and --listen exclude each other')
  }
  if (options.unix !== undefined && options.tlsCert !== undefined) {
    throw new UsageError('--unix and --tls-cert exclude each other')
  }
  if ((options.tlsCert === undefined) !== (options.tlsKey === undefined)) {
    throw new UsageError('--tls-cert and --tls-key need each other')
  }
  const log = createLog(options.log, say)
  const { fetch, forwardProxy } = await openNetwork(options)
  const trust = await trustFor(options, fetch)
  const listen = options.unix === undefined
    ? parseListen(options.listen ?? DEFAULT_LISTEN, options.allowRemote === true)
    : { path: options.unix }
  const settings = {
    baseURL: url,
    trust,
    postQuantum: options.postQuantum,
    transport: options.transport,
    connectTimeout: options.connectTimeout,
    indirect: indirect(forwardProxy(new URL(url))?.variable),
    adds: options.header.length > 0,
    fetch,
    explain: (error: unknown) => forwardProxyInForce(error, process.env, new URL(url)),
    listen,
    certificate: options.tlsCert === undefined || options.tlsKey === undefined
      ? undefined
      : watchCertificate(options.tlsCert, options.tlsKey, log),
    hosts: options.allowHost.map(parseHost),
    origins: options.allowOrigin.map(parseOrigin),
    added: addedHeaders(options.header),
    log,
    onProven: (proven: Proven) => say(describe(proven))
  }
  if (trust.warning !== undefined) say(`polaris: warning: ${trust.warning}; every answer says polaris-verified: no\n`)
  return settings
}

async function trustFor (options: ProxyOptions, fetch: typeof globalThis.fetch): Promise<Trust> {
  const { policy, development, insecure, maxAge } = options
  const given = [policy, development, insecure].filter(option => option !== undefined).length
  if (given > 1) throw new UsageError('--policy, --development and --insecure exclude each other')
  if (policy !== undefined) {
    const text = await readPolicy(policy)
    return trustPolicy(text, maxAge, (await readProvenance(options, parseAttestationPolicy(text), fetch)).provenance)
  }
  if (development) return trustDevelopment(maxAge)
  if (insecure) return trustAnything()
  throw new UsageError(
    'give a --policy (see polaris policy init), or say --insecure: an attacker on the way can then read everything'
  )
}

/** @param variable of the environment that names a forward proxy for this URL */
function indirect (variable: string | undefined): string | undefined {
  return variable && `${variable} is in force, and TLS connections whose key is proven are made directly: name the ` +
    'host in NO_PROXY'
}

function parseHost (text: string): string {
  if (!/^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.test(text)) {
    throw new UsageError(`not a host, as name or name:port: ${text}`)
  }
  return text.toLowerCase()
}

function parseOrigin (text: string): string {
  if (URL.parse(text)?.origin !== text || text === 'null') {
    throw new UsageError(`not an origin, such as https://app.example.com: ${text}`)
  }
  return text
}

function describe ({ verdict, keysHash, postQuantum }: Proven): string {
  const checks = verdict === undefined ? '' : renderVerdict(verdict, process.stderr)
  return `${checks}polaris: keys sha256:${keysHash}, ${postQuantum
    ? 'X25519 with ML-KEM-768 (post-quantum)'
    : 'X25519 (not post-quantum)'}\n`
}

function examples (address: string): string {
  return /^https?:/.test(address)
    ? `  curl ${address}/\n  OPENAI_BASE_URL=${address}/v1\n`
    : `  curl --unix-socket ${address} http://localhost/\n`
}
