/** JSON over HTTP with bounds on time and size, and without following redirects: only the issuer is asked. */
import { EMPTY } from '../../lib/protocols/bytes.ts'
import { collect } from '../collect.ts'
import { networkReason } from '../network-error.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'

/** For each thing that is asked for, as a whole. */
export const TIMEOUT_MS = 10_000
/** A proxy asks its hardware in turn, GPUs too, before it answers. */
export const DOCUMENT_TIMEOUT_MS = 40_000

/** The other side could not be asked, or answered with something unusable. */
export class AttestationFetchError extends Error {
  override readonly name = 'AttestationFetchError'
  readonly code = 'ERR_ATTESTATION_FETCH'
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined

  constructor (message: string, options?: ErrorOptions & { status?: number }) {
    super(message, options)
    this.status = options?.status
  }
}

export interface Answer {
  readonly body: Bytes
  readonly headers: Headers
}

/**
 * @returns a 200 answer, with a body of at most maxBytes
 * @throws {AttestationFetchError}
 */
export async function fetchAnswer (
  fetcher: typeof fetch, url: string | URL, maxBytes: number, timeoutMs = TIMEOUT_MS
): Promise<Answer> {
  const { origin, pathname } = new URL(url)
  const place = origin + pathname
  try {
    const response = await fetcher(url, {
      headers: { accept: '*/*' },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs)
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new AttestationFetchError(`${place} answered ${response.status}`, { status: response.status })
    }
    const body = response.body ? await collect(response.body, maxBytes) : EMPTY
    if (body === undefined) throw new AttestationFetchError(`${place} has more than ${maxBytes} bytes`)
    return { body, headers: response.headers }
  } catch (cause) {
    throw cause instanceof AttestationFetchError
      ? cause
      : new AttestationFetchError(`${place} is unreachable: ${reasonOf(cause, timeoutMs)}`, { cause })
  }
}

function reasonOf (error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`
  return networkReason(error) ?? (error instanceof Error ? error.message : 'unknown error')
}

/** @throws {AttestationFetchError} */
export async function fetchJson (fetcher: typeof fetch, url: string | URL): Promise<unknown> {
  const { body } = await fetchAnswer(fetcher, url, 256 * 1024)
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch (cause) {
    throw new AttestationFetchError(`${url} did not answer with JSON`, { cause })
  }
}
