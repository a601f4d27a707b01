/** Saves a verification with all that it was based on, and repeats it from there: offline, and as of that time. */
import { decodeBase64url, encodeBase64url } from '../../../lib/protocols/base64url.ts'
import type { Verdict } from '../../attestation/checks.ts'
import { parseAttestationPolicy } from '../../attestation/policy.ts'
import type { AttestationPolicy } from '../../attestation/policy.ts'
import { TRUSTED_ROOT_DATE, shippedTrustedRoot } from '../../attestation/provenance/index.ts'
import type { ProvenanceSources } from '../../attestation/provenance/sources.ts'
import { verifyAttestation } from '../../attestation/verify.ts'
import type { Appraisal } from '../appraise.ts'
import { UsageError } from '../status.ts'
import { json, plainVerdict } from '../terminal/render.ts'
import { FORMAT, readSaved, writeSaved } from './files.ts'
import { replayFetch } from './recorder.ts'
import type { Recorder } from './recorder.ts'

const DOCUMENT = 'document.json'
const POLICY = 'policy.json'
const VERDICT = 'verdict.json'
const BUNDLES = 'bundles.json'
const TRUSTED_ROOT = 'trusted-root.json'
const SHIPPED_ROOT = 'shipped-trusted-root.json'

/** @throws {UsageError} */
export async function save (folder: string, url: string, appraisal: Appraisal, recorder: Recorder): Promise<void> {
  const { verdict, document, nonce, at, policy, sources: { provenance } } = appraisal
  const answers = recorder.answers().map((answer, i) => ({ ...answer, file: `answer-${i + 1}` }))
  const files = new Map<string, Uint8Array>([
    [DOCUMENT, document],
    [POLICY, bytes(policy)],
    [VERDICT, bytes(plainVerdict(verdict))],
    ...provenance?.bundles ? [[BUNDLES, bytes(provenance.bundles)] as const] : [],
    ...provenance?.trustedRoot === undefined ? [] : [[TRUSTED_ROOT, bytes(provenance.trustedRoot)] as const],
    ...policy.provenance ? [[SHIPPED_ROOT, bytes(shippedTrustedRoot)] as const] : [],
    ...answers.map(({ file, body }) => [file, body] as const)
  ])
  await writeSaved(folder, {
    format: FORMAT,
    url,
    at: at.toISOString(),
    nonce: encodeBase64url(nonce),
    trustedRootDate: TRUSTED_ROOT_DATE,
    answers: answers.map(({ url: asked, headers, file }) => ({ url: asked, headers, file }))
  }, files)
}

/**
 * @param other a policy in place of the one that was saved
 * @throws {UsageError | ChangedFileError}
 * @throws {AttestationFetchError} the other policy needs something that was not asked then
 */
export async function replay (folder: string, other?: AttestationPolicy): Promise<Verdict> {
  const { index, files } = await readSaved(folder)
  const document = files.get(DOCUMENT)
  const nonce = decodeBase64url(index.nonce)
  if (!document || !nonce) throw new UsageError(`${folder} lacks ${document ? 'a nonce' : DOCUMENT}`)
  const policy = other ?? parseAttestationPolicy(text(files, POLICY))
  return verifyAttestation(Uint8Array.from(document), policy, {
    nonce,
    now: new Date(index.at),
    fetch: replayFetch(index.answers, files),
    provenance: sourcesOf(files, index.trustedRootDate, policy)
  })
}

/** The root that was shipped then counts, even if another is shipped now, unless the policy has one of its own. */
function sourcesOf (
  files: ReadonlyMap<string, Buffer>, date: string, { provenance }: AttestationPolicy
): ProvenanceSources {
  const shipped = date !== TRUSTED_ROOT_DATE && provenance?.trustedRoot === undefined
  const bundles = files.has(BUNDLES) ? JSON.parse(text(files, BUNDLES)) as unknown : undefined
  const root = files.has(TRUSTED_ROOT)
    ? TRUSTED_ROOT
    : files.has(SHIPPED_ROOT) && shipped ? SHIPPED_ROOT : undefined
  return {
    ...Array.isArray(bundles) && { bundles },
    ...root !== undefined && { trustedRoot: JSON.parse(text(files, root)) as unknown }
  }
}

function text (files: ReadonlyMap<string, Buffer>, name: string): string {
  const content = files.get(name)
  if (!content) throw new UsageError(`${name} is missing in what was saved`)
  return content.toString('utf8')
}

function bytes (value: unknown): Uint8Array {
  return Buffer.from(json(value))
}
