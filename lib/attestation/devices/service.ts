/** Device evidence from an HTTP service beside the proxy. */
import { RemoteError, retryAfterOf } from '../../remote/error.ts'
import { getJson } from '../../remote/post-json.ts'
import { MAX_ANSWER_BYTES } from './read.ts'

const NAME = 'The source of device evidence'

/** @throws {RemoteError} */
export async function serviceAnswer (url: URL, timeoutMs: number, signal: AbortSignal): Promise<string> {
  const endpoint = { name: NAME, url, reach: 'inner', timeoutMs, maxBytes: MAX_ANSWER_BYTES } as const
  const { status, headers, body } = await getJson(endpoint, signal)
  if (status === 200) return body.toString('utf8')
  throw new RemoteError(status >= 500 || status === 429 ? 'transient' : 'refused', `${NAME} answered ${status}`, {
    providerCode: `HTTP_${status}`,
    advice: 'See its log, and check the address in POLARIS_CONTAINER_ATTESTATION_DEVICES',
    retryAfter: retryAfterOf(headers['retry-after'])
  })
}
