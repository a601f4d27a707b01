/**
 * Client of the secure key release sidecar of confidential containers on Azure, and of a deployed variant of it.
 *
 * The sidecar attests the container group to Azure Attestation, presents the token to Key Vault and hands out the
 * released key. It answers 403 to whatever fails on that way, so what matters is inside its error text; the text is
 * classified here and goes no further, since it quotes what the services answered.
 */
import { connectionError, KeyFetchError } from '../../remote/fetch-error.ts'
import type { FetchFailure } from '../../remote/fetch-error.ts'

/** What `POST /key/release` takes, under the sidecar's names. */
export interface KeyReleaseRequest {
  maa_endpoint: string
  akv_endpoint: string
  /** Name of the key, or `name/version`. */
  kid: string
  /** For Key Vault, where the container group has no identity of its own. */
  access_token?: string
}

/** Where it listens, unless told otherwise. */
export const SIDECAR_ENDPOINT = 'http://localhost:8080'

const MAX_OCTETS = 256 * 1024
const SIDECAR = 'The Azure sidecar'

/**
 * Asks for a key and returns the parsed answer, whose shape depends on the sidecar.
 *
 * @throws {KeyFetchError}
 */
export async function releaseKey (endpoint: string, request: KeyReleaseRequest, signal: AbortSignal): Promise<unknown> {
  return parse(await post(new URL('/key/release', endpoint), request, signal))
}

/**
 * Asks for an Azure Attestation token over `runtimeData`, which is JSON; Azure Attestation repeats it in the claim
 * `x-ms-runtime`.
 *
 * @throws {KeyFetchError}
 */
export async function attestMaa (endpoint: string, maaEndpoint: string, runtimeData: Uint8Array, signal: AbortSignal): Promise<string> {
  const request = { maa_endpoint: maaEndpoint, runtime_data: Buffer.from(runtimeData).toString('base64') }
  const answer = parse(await post(new URL('/attest/maa', endpoint), request, signal)) as { token?: unknown }
  // Some failures come with status 200 and an empty token.
  if (typeof answer.token === 'string' && answer.token.split('.').length === 3) return answer.token
  throw unexpected()
}

async function post (url: URL, body: object, signal: AbortSignal): Promise<Buffer> {
  let response: Response
  let octets: Buffer
  try {
    response = await fetch(url, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), redirect: 'error', signal
    })
    octets = await readBounded(response)
  } catch (cause) {
    signal.throwIfAborted()
    throw cause instanceof KeyFetchError ? cause : connectionError(SIDECAR, cause)
  }
  if (response.status === 200) return octets
  throw classify(response.status, octets.toString('utf8'))
}

async function readBounded (response: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MAX_OCTETS) throw unexpected()
    chunks.push(chunk)
  }
  const octets = Buffer.concat(chunks)
  for (const chunk of chunks) chunk.fill(0)
  return octets
}

/** Parses JSON and overwrites it. What it held lives on in strings, which JavaScript cannot wipe, until collected. */
function parse (octets: Buffer): object {
  try {
    const answer: unknown = JSON.parse(octets.toString('utf8'))
    if (typeof answer === 'object' && answer !== null) return answer
  } catch {
    // The parser's message quotes its input, which may be a key.
    throw unexpected()
  } finally {
    octets.fill(0)
  }
  throw unexpected()
}

/** Which step failed, told by the words that the sidecar puts in front of the cause. */
const STEPS: ReadonlyArray<[words: string, message: string, advice: string]> = [
  ['attestation failed', 'Azure Attestation did not vouch for this container',
    'Check the attestation endpoint, and that this runs on a confidential SKU'],
  ['authentication token', 'The container group has no token for the key vault',
    'Assign the managed identity to the container group, or wait until Azure has'],
  ['releasing the key', 'Key Vault did not release the key',
    'Check the name of the vault and the key, the role of the identity (Key Vault Crypto Service Release User), and the release policy: its attestation authority and the host data of this deployment']
]

function classify (status: number, text: string): KeyFetchError {
  const [, message, advice] = STEPS.find(([words]) => text.includes(words)) ??
    ['', `${SIDECAR} could not release the key`, 'See the log of the sidecar']
  const inner = /http response status equal to (\d{3})/.exec(text)?.[1]
  if (text.includes('no such host')) {
    return new KeyFetchError('refused', message, { providerCode: 'NO_SUCH_HOST', advice: 'Check the attestation and vault endpoints: one of them is no name of a host. Give host names, without https://, unless the sidecar wants URLs' })
  }
  if (status === 400) {
    return new KeyFetchError('configuration', `${SIDECAR} does not accept the request`, { providerCode: 'HTTP_400', advice: 'Set the attestation endpoint, the vault endpoint and the key name: none may be empty' })
  }
  return new KeyFetchError(kindOf(Number(inner ?? status), inner !== undefined), message, { providerCode: `HTTP_${inner ?? status}`, advice })
}

/** A service's own 4xx is a refusal; the sidecar's 403 without one says nothing about the reason. */
function kindOf (status: number, fromService: boolean): FetchFailure {
  return fromService && status < 500 && status !== 408 && status !== 429 ? 'refused' : 'transient'
}

function unexpected (): KeyFetchError {
  return new KeyFetchError('transient', `${SIDECAR} sent an unexpected answer`, {
    providerCode: 'UNEXPECTED_ANSWER', advice: 'Check that the key release endpoint is that of the sidecar, and its version'
  })
}
