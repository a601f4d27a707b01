/** JSON over HTTP with bounds on time and size, and without following redirects: only the issuer is asked. */
import { EMPTY } from '../../lib/protocols/bytes.ts'
import { collect } from '../collect.ts'
import { networkReason } from '../network-error.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'

/** For each thing that is asked for, as a whole. */
export const TIMEOUT_MS = 10_000
/** A proxy asks its hardware in turn, GPUs too, before it answers. For all attempts together. */
const DOCUMENT_TIMEOUT_MS = 40_000
/** How often a proxy that is busy is asked again, and the longest pause it may ask for, in seconds. */
const MAX_REPEATS = 5
const LONGEST_PAUSE = 5

/** The other side could not be asked, or answered with something unusable. */
export class AttestationFetchError extends Error {
  override readonly name = 'AttestationFetchError'
  readonly code = 'ERR_ATTESTATION_FETCH'
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined
  /** After how many seconds to ask again, if the answer says so. */
  readonly retryAfter: number | undefined

  constructor (message: string, options?: ErrorOptions & { status?: number, retryAfter?: number | undefined }) {
    super(message, options)
    this.status = options?.status
    this.retryAfter = options?.retryAfter
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
  fetcher: typeof fetch, url: string | URL, maxBytes: number, timeoutMs = TIMEOUT_MS,
  signal: AbortSignal = AbortSignal.timeout(timeoutMs)
): Promise<Answer> {
  const { origin, pathname } = new URL(url)
  const place = origin + pathname
  try {
    const response = await fetcher(url, {
      headers: { accept: '*/*' },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new AttestationFetchError(`${place} answered ${response.status}`, {
        status: response.status, retryAfter: retryAfterOf(response)
      })
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

/** RFC 9110, section 10.2.3. Dates are not read. */
function retryAfterOf ({ headers }: Response): number | undefined {
  const seconds = /^\d{1,9}$/.exec(headers.get('retry-after') ?? '')?.[0]
  return seconds === undefined ? undefined : Number(seconds)
}

/**
 * An attestation document. A proxy makes evidence for a few clients at once, and turns others away for a moment: 503
 * with Retry-After. It is asked again, a few times, each time a little later than it said, so that clients that were
 * turned away together do not come back together.
 *
 * @throws {AttestationFetchError} of the last attempt
 * @throws the signal's reason
 */
export async function fetchDocument (
  fetcher: typeof fetch, url: URL, maxBytes: number, signal?: AbortSignal
): Promise<Answer> {
  const deadline = AbortSignal.timeout(DOCUMENT_TIMEOUT_MS)
  const over = signal === undefined ? deadline : AbortSignal.any([deadline, signal])
  for (let repeats = 0; ; repeats++) {
    try {
      return await fetchAnswer(fetcher, url, maxBytes, DOCUMENT_TIMEOUT_MS, over)
    } catch (error) {
      signal?.throwIfAborted()
      const pause = error instanceof AttestationFetchError && error.status === 503 ? error.retryAfter : undefined
      if (pause === undefined || pause > LONGEST_PAUSE || repeats === MAX_REPEATS) throw error
      await sleep((pause + Math.random() * (repeats + 1)) * 1000, over)
      signal?.throwIfAborted()
      if (deadline.aborted) throw error
    }
  }
}

/** Ends early with the signal. */
function sleep (milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
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
