/** Verdicts on a terminal. Colours only where the stream is one and NO_COLOR is not set. */
import { createHash } from 'node:crypto'
import { styleText } from 'node:util'
import type { AttestedKey } from '../../../lib/protocols/attestation.ts'
import type { Check, Outcome, Verdict } from '../../attestation/checks.ts'
import { verdictSentence } from '../../attestation/verdict/sentence.ts'

type Stream = NodeJS.WriteStream

const STYLES: Record<Outcome, { readonly mark: string, readonly colour: 'green' | 'red' | 'yellow' }> = {
  passed: { mark: '✓', colour: 'green' },
  failed: { mark: '✗', colour: 'red' },
  skipped: { mark: '–', colour: 'yellow' }
}

/** Check by check, then in one sentence, then in one word. Of devices or a bundle alone there is no sentence to say. */
export function renderVerdict (verdict: Verdict, stream: Stream): string {
  const { verified, tee, checks, at } = verdict
  const width = Math.max(...checks.map(({ name }) => name.length))
  const failed = checks.filter(({ outcome }) => outcome === 'failed').length
  const summary = verified
    ? styleText('green', `verified: ${tee}`, { stream })
    : styleText('red', `refused: ${tee}, ${failed} of ${checks.length} checks failed`, { stream })
  const sentence = at === undefined ? [] : [verdictSentence(verdict)]
  return [...checks.map(check => renderCheck(check, width, stream)), ...sentence, summary].join('\n') + '\n'
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

/** A verdict for machines. */
export function plainVerdict (verdict: Verdict): object {
  const { verified, tee, checks, keys, at } = verdict
  return {
    verified, tee, ...at && { sentence: verdictSentence(verdict), at: at.toISOString() }, checks, keys: plainKeys(keys)
  }
}

/** For machines; ends with a newline. */
export function json (value: unknown): string {
  return JSON.stringify(value, null, 2) + '\n'
}

export const NO_POLICY = 'polaris: no policy was given, so any software passes; see polaris policy init\n'
