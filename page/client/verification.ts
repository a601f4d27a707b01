/** Asks and appraises: the SDK's verifier, with what the form and the files hold. */
import {
  appraiseDocument,
  AttestationDocumentError,
  AttestationFetchError,
  fetchAttestation,
  verifyAttestation
} from '../../sdk/attestation/index.ts'
import type { AttestationPolicy, Verdict, VerifyOptions } from '../../sdk/attestation/index.ts'
import { GOOGLE_ISSUER } from '../../sdk/attestation/google/verifier.ts'
import { NRAS_ISSUER } from '../../sdk/attestation/nvidia/nras.ts'
import { FileError } from './files.ts'
import type { GivenFile } from './files.ts'

export interface Question {
  /** Undefined if a saved document is appraised. */
  readonly proxy: URL | undefined
  readonly policy: AttestationPolicy
  readonly files: readonly GivenFile[]
  /** What a saved document has to answer. */
  readonly nonce?: Uint8Array | undefined
  /** When a saved document is appraised; default: now. */
  readonly at?: Date | undefined
}

export type Outcome =
  | { readonly kind: 'verdict', readonly verdict: Verdict, readonly at: Date, readonly question: Question }
  | {
    readonly kind: 'unreachable',
    readonly who: 'proxy' | 'issuer',
    readonly message: string,
    readonly status: number | undefined
  }
  | { readonly kind: 'document', readonly message: string }

/** @throws {FileError} files that do not go together, or that the policy has no use for */
export async function verify (question: Question): Promise<Outcome> {
  const { proxy, policy, files } = question
  const at = question.at ?? new Date()
  const options = optionsOf(question, at)
  let who: 'proxy' | 'issuer' = 'proxy'
  try {
    const saved = savedDocument(files)
    if (saved !== undefined) {
      who = 'issuer'
      const { nonce } = question
      const verdict = await appraiseDocument(saved, policy, { ...options, ...nonce && { nonce } })
      return { kind: 'verdict', verdict, at, question }
    }
    if (proxy === undefined) throw new FileError('Give the address of a proxy, or a saved attestation document')
    const { document, nonce } = await fetchAttestation(proxy)
    who = 'issuer'
    return { kind: 'verdict', verdict: await verifyAttestation(document, policy, { ...options, nonce }), at, question }
  } catch (error) {
    if (error instanceof AttestationFetchError) {
      return { kind: 'unreachable', who, message: error.message, status: error.status }
    }
    if (error instanceof AttestationDocumentError) return { kind: 'document', message: error.message }
    throw error
  }
}

/** @throws {FileError} */
export function savedDocument (files: readonly GivenFile[]): Uint8Array | undefined {
  const documents = files.flatMap(file => file.kind === 'document' ? [file] : [])
  if (documents.length > 1) {
    throw new FileError(`${documents.map(({ name }) => name).join(' and ')} are both attestation documents: give one`)
  }
  return documents[0]?.document
}

function optionsOf ({ policy, files }: Question, now: Date): VerifyOptions {
  const collateral = files.find(file => file.kind === 'collateral')?.collateral
  const bundles = files.flatMap(file => file.kind === 'bundles' ? file.bundles : [])
  const trustedRoot = files.find(file => file.kind === 'trusted-root')?.trustedRoot
  const revocationLists = files.flatMap(file => file.kind === 'revocation-list' ? [file.list] : [])
  const offline = savedDocument(files) !== undefined
  return {
    now,
    keySets: keySetsOf(policy, files),
    provenance: { bundles, ...trustedRoot !== undefined && { trustedRoot } },
    platforms: { tdx: { ...collateral && { collateral } }, 'sev-snp': { revocationLists } },
    ...offline && { fetch: noNetwork }
  }
}

/** A saved document is appraised as it was saved: no one is asked, and no one learns of it. */
const noNetwork: typeof fetch = async () => {
  throw new Error('no network is used for a saved document; give what is missing as a file')
}

/** A key set that does not say whose it is belongs to the one issuer that the policy trusts. */
function keySetsOf (policy: AttestationPolicy, files: readonly GivenFile[]): Record<string, unknown> {
  const named = Object.assign(
    {}, ...files.map(file => file.kind === 'key-sets' ? file.keySets : {})
  ) as Record<string, unknown>
  const unnamed = files.filter(file => file.kind === 'key-set')
  if (unnamed.length === 0) return named
  const issuers = issuersOf(policy).filter(issuer => !Object.hasOwn(named, issuer))
  const [issuer, ...others] = issuers
  const [keySet, ...more] = unnamed
  if (issuer === undefined) {
    throw new FileError(`${keySet?.name} is of no use: the policy trusts no issuer whose keys are missing`)
  }
  if (others.length > 0 || more.length > 0) {
    throw new FileError(`${unnamed.map(({ name }) => name).join(
      ', '
    )}: whose keys are these? Write { "${issuer}": { "keys": [...] } } into one file, with each issuer`)
  }
  return { ...named, [issuer]: keySet?.keySet }
}

function issuersOf ({ platforms, devices }: AttestationPolicy): string[] {
  return [
    ...platforms['google-confidential-space'] ? [GOOGLE_ISSUER] : [],
    ...new Set([...platforms['azure-maa']?.issuers ?? [], ...platforms['azure-cvm']?.issuers ?? []]),
    ...devices?.nvidia?.appraisal === 'nras' ? [NRAS_ISSUER] : []
  ]
}
