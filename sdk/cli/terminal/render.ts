/** Verdicts on a terminal. Colours only where the stream is one and NO_COLOR is not set. */
import { createHash } from 'node:crypto'
import { styleText } from 'node:util'
import type { AttestedKey } from '../../../lib/protocols/attestation.ts'
import type { Check, Outcome, Verdict } from '../../attestation/checks.ts'

type Stream = NodeJS.WriteStream

const STYLES: Record<Outcome, { readonly mark: string, readonly colour: 'green' | 'red' | 'yellow' }> = {
  passed: { mark: '✓', colour: 'green' },
  failed: { mark: '✗', colour: 'red' },
  skipped: { mark: '–', colour: 'yellow' }
}

export function renderVerdict ({ verified, tee, checks }: Verdict, stream: Stream): string {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const failed = checks.filter(({ outcome }) => outcome === 'failed').length
  const summary = verified
    ? styleText('green', `verified: ${tee}`, { stream })
    : styleText('red', `refused: ${tee}, ${failed} of ${checks.length} checks failed`, { stream })
  return [...checks.map(check => renderCheck(check, width, stream)), summary].join('\n') + '\n'
}

function renderCheck ({ name, outcome, detail }: Check, width: number, stream: Stream): string {
  const { mark, colour } = STYLES[outcome]
  return `${styleText(colour, mark, { stream })} ${name.padEnd(width)}  ${detail}`
}

export interface PlainKey {
  readonly kind: string
  /** Hexadecimal. */
  readonly sha256: string
  /** Base64url. */
  readonly value: string
}

export function plainKeys (keys: readonly AttestedKey[]): PlainKey[] {
  return keys.map(({ kind, value }) => ({
    kind,
    sha256: createHash('sha256').update(value).digest('hex'),
    value: Buffer.from(value).toString('base64url')
  }))
}

/** For machines; ends with a newline. */
export function json (value: unknown): string {
  return JSON.stringify(value, null, 2) + '\n'
}

export const NO_POLICY = 'polaris: no policy was given, so any software passes; see polaris policy init\n'
