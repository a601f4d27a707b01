/**
 * Client of the secure key release sidecar of confidential containers on Azure, and of a deployed variant of it.
 *
 * The sidecar attests the container group to Azure Attestation, presents the token to Key Vault and hands out the
 * released key. It answers 403 to whatever fails on that way, so what matters is inside its error text; the text is
 * classified here and goes no further, since it quotes what the services answered.
 */
import { parse } from 'secure-json-parse'
import { RemoteError } from '../../remote/error.ts'
import type { RemoteFailure } from '../../remote/error.ts'
import { postJson } from '../../remote/post-json.ts'
import { withoutTrailingSlashes } from '../../protocols/trailing-slashes.ts'

export interface SidecarOptions {
  /** Base URL. Default: `http://localhost:8080`. */
  readonly endpoint?: string
  /** Milliseconds for one request. Default: 30 000. */
  readonly timeoutMs?: number
}

/** What `POST /key/release` takes, under the sidecar's names. */
export interface KeyReleaseRequest {
  readonly maa_endpoint: string
  readonly akv_endpoint: string
  /** Name of the key, or `name/version`. */
  readonly kid: string
  /** For Key Vault, if the container group has no identity of its own. */
  readonly access_token?: string
}

const ENDPOINT = 'http://localhost:8080'
const SOURCE = 'The Azure sidecar'
const RELEASE = '/key/release'

/**
 * Asks for a key and returns the parsed answer, whose shape depends on the sidecar.
 *
 * @throws {RemoteError}
 */
export function releaseKey (
  options: SidecarOptions, request: KeyReleaseRequest, signal?: AbortSignal
): Promise<object> {
  return ask(options, RELEASE, request, signal)
}

/**
 * Asks for an Azure Attestation token over `runtimeData`, which is JSON; Azure Attestation repeats it in the claim
 * `x-ms-runtime`.
 *
 * @param maaEndpoint the attestation provider, a host or its URL; the sidecar adds https:// itself
 * @throws {RemoteError}
 */
export async function attestMaa (
  options: SidecarOptions, maaEndpoint: string, runtimeData: Uint8Array, signal?: AbortSignal
): Promise<string> {
  const request = { maa_endpoint: hostOf(maaEndpoint), runtime_data: Buffer.from(runtimeData).toString('base64') }
  const answer = await ask(options, '/attest/maa', request, signal)
  const token = member(answer, 'token')
  // Some failures come with status 200 and an empty token.
  if (token.split('.').length !== 3) throw unexpected()
  return token
}

/** @throws {RemoteError} */
export async function attestCombined (options: SidecarOptions, runtimeData: Uint8Array, signal?: AbortSignal) {
  const request = { runtime_data: Buffer.from(runtimeData).toString('base64') }
  const answer = await ask(options, '/attest/combined', request, signal)
  const decoded = (name: string) => Buffer.from(member(answer, name), 'base64')
  return {
    /** An SEV-SNP report with SHA-256 of the runtime data in it, or one that is made up. */
    evidence: decoded('evidence'),
    /** Certificates, as PEM or as JSON that holds it. */
    endorsements: decoded('endorsements'),
    /** COSE_Sign1. */
    uvmEndorsements: decoded('uvm_endorsements')
  }
}

/** Without scheme and path. */
export function hostOf (endpoint: string): string {
  return withoutTrailingSlashes(endpoint.replace(/^https?:\/\//i, ''))
}

async function ask (
  { endpoint = ENDPOINT, timeoutMs = 30_000 }: SidecarOptions, path: string, request: unknown, signal?: AbortSignal
): Promise<object> {
  const { status, body } = await postJson(
    { name: SOURCE, url: resource(endpoint, path), reach: 'inner', timeoutMs }, request, signal
  )
  try {
    if (status !== 200) throw classify(status, body.toString('utf8'))
    return parseObject(body.toString('utf8'))
  } finally {
    // What it held lives on in strings, which JavaScript cannot wipe, until collected.
    body.fill(0)
  }
}

/** Deployments give the base URL, or that of the key release as a whole. */
function resource (endpoint: string, path: string): URL {
  const url = new URL(endpoint)
  const base = url.pathname.endsWith('/') ? url.pathname.slice(0, -1) : url.pathname
  url.pathname = (base.endsWith(RELEASE) ? base.slice(0, -RELEASE.length) : base) + path
  return url
}

function parseObject (text: string): object {
  let answer: unknown
  try {
    answer = parse(text, undefined, { protoAction: 'remove', constructorAction: 'remove' })
  } catch {
    // The parser's message quotes its input, which may be a key.
    throw unexpected()
  }
  if (typeof answer !== 'object' || answer === null) throw unexpected()
  return answer
}

function member (answer: object, name: string): string {
  const value = (answer as Record<string, unknown>)[name]
  if (typeof value !== 'string' || value === '') throw unexpected()
  return value
}

/** Which step failed, told by the words that the sidecar puts in front of the cause. */
const STEPS: ReadonlyArray<readonly [words: string, message: string, advice: string]> = [
  ['attestation failed', 'Azure Attestation did not vouch for this container',
    'Check the attestation endpoint, and that this runs on a confidential SKU'],
  ['authentication token', 'The container group has no token for the key vault',
    'Assign the managed identity to the container group, or wait until Azure has'],
  ['releasing the key', 'Key Vault did not release the key',
    'Check the name of the vault and the key, the role of the identity (Key Vault Crypto Service Release User), and ' +
    'the release policy: its attestation authority and the host data of this deployment']
]

/** Errors may be two JSON documents in a row, so they are searched, not parsed. */
function classify (status: number, text: string): RemoteError {
  const [, message, advice] = STEPS.find(([words]) => text.includes(words)) ??
    ['', `${SOURCE} refused the request`, 'See the log of the sidecar']
  const inner = /http response status equal to (\d{3})/.exec(text)?.[1]
  if (text.includes('no such host')) {
    return new RemoteError('refused', message, {
      providerCode: 'NO_SUCH_HOST',
      advice: 'Check the attestation and vault endpoints: one of them is not a host name. Use host names, without ' +
        'https://, unless the sidecar wants URLs'
    })
  }
  if (status === 400) {
    return new RemoteError('configuration', `${SOURCE} does not accept the request`, {
      providerCode: 'HTTP_400',
      advice: 'Set the attestation endpoint, the vault endpoint and the key name: none may be empty'
    })
  }
  return new RemoteError(kindOf(Number(inner ?? status), inner !== undefined), message, {
    providerCode: `HTTP_${inner ?? status}`, advice
  })
}

/** A service's own 4xx is a refusal; the sidecar's 403 without one says nothing about the reason. */
function kindOf (status: number, fromService: boolean): RemoteFailure {
  return fromService && status < 500 && status !== 408 && status !== 429 ? 'refused' : 'transient'
}

function unexpected (): RemoteError {
  return new RemoteError('transient', `${SOURCE} sent an unexpected answer`, {
    providerCode: 'UNEXPECTED_ANSWER',
    advice: 'Check that the configured endpoint is that of the sidecar, and its version'
  })
}
