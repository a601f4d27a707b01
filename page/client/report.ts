/** The verdict for machines, in the form that `polaris verify --json` has. */
import type { AttestedKey } from '../../lib/protocols/attestation.ts'
import type { Verdict } from '../../sdk/attestation/index.ts'
import { sha256 } from '../../lib/protocols/attestation.ts'
import { toHex } from '../../sdk/attestation/bytes.ts'
import { verdictSentence } from '../../sdk/attestation/index.ts'
import type { Question } from './verification.ts'

export interface DescribedKey {
  readonly kind: string
  readonly sha256: string
}

export async function describeKeys (keys: readonly AttestedKey[]): Promise<DescribedKey[]> {
  return Promise.all(keys.map(async ({ kind, value }) => ({ kind, sha256: toHex(await sha256(value)) })))
}

export async function toJson (verdict: Verdict, { proxy }: Question, at: Date): Promise<string> {
  const { verified, tee, checks, keys } = verdict
  const report = {
    ...proxy && { proxy: proxy.href },
    at: at.toISOString(),
    verified,
    sentence: verdictSentence(verdict),
    tee,
    checks,
    keys: await describeKeys(keys)
  }
  return JSON.stringify(report, null, 2)
}
