/** What the two ways of Azure's secure key release sidecar have in common: how it is asked, and how it fails. */
import { parse } from 'secure-json-parse'
import { AttesterError } from '../../attestation/attester.ts'
import { postJson } from '../../remote/post-json.ts'
import { withoutTrailingSlashes } from '../../protocols/trailing-slashes.ts'

export interface AzureSidecarOptions {
  /** Base URL, http. */
  readonly endpoint?: string
  readonly timeoutMs?: number
}

const SOURCE = 'The Azure sidecar'

/**
 * POSTs to the sidecar and reads the members asked for, all text.
 *
 * @throws {AttesterError}
 */
export async function askSidecar<const K extends string> (
  { endpoint = 'http://localhost:8080', timeoutMs = 30_000 }: AzureSidecarOptions, path: string, body: unknown, members: readonly K[], signal?: AbortSignal
): Promise<Record<K, string>> {
  const url = new URL(endpoint)
  url.pathname = withoutTrailingSlashes(url.pathname) + path
  const { status, text } = await postJson({ name: SOURCE, url, timeoutMs }, body, signal)
  if (status !== 200) throw new AttesterError(`${SOURCE} answered ${status}${upstream(text)}`, { transient: isTransient(status, text) })
  const answer = parseObject(text)
  const read = members.map(name => [name, answer[name]])
  if (!read.every(([, value]) => typeof value === 'string' && value !== '')) {
    throw new AttesterError(`${SOURCE} answered without ${members.join(', ')}`, { transient: true })
  }
  return Object.fromEntries(read) as Record<K, string>
}

function parseObject (text: string): Record<string, unknown> {
  try {
    const answer: unknown = parse(text, undefined, { protoAction: 'remove', constructorAction: 'remove' })
    if (typeof answer === 'object' && answer !== null) return answer as Record<string, unknown>
  } catch (cause) {
    throw new AttesterError(`${SOURCE} did not answer with JSON`, { cause, transient: true })
  }
  throw new AttesterError(`${SOURCE} did not answer with a JSON object`, { transient: true })
}

/** Errors may be two JSON documents in a row, so they are searched, not parsed. */
const UPSTREAM_STATUS = /http response status equal to (\d{3})/

function upstream (text: string): string {
  const status = UPSTREAM_STATUS.exec(text)?.[1]
  return status === undefined ? '' : `, since the service behind it answered ${status}`
}

/**
 * The sidecar says 403 for every failure behind it. Early ones are normal: the identity endpoint comes up late, a role
 * is assigned after the container was made. So only what no time will mend counts as permanent.
 */
function isTransient (status: number, text: string): boolean {
  const behind = Number(UPSTREAM_STATUS.exec(text)?.[1] ?? NaN)
  return status !== 400 && behind !== 400
}
