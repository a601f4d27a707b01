// The cases of a conformance suite for Sigstore provenance in ../shared/vectors, each with the outcome it expects.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import { appraiseProvenance } from '../../../../sdk/attestation/provenance/index.ts'

interface Input {
  readonly bundle_b64: string
  readonly expected_digest_sha256_hex: string
  readonly repo: string
  readonly policy: {
    readonly oidc_issuer: string
    readonly workflow_ref_prefix: string
    readonly predicate_types_allowed: string[] | null
    readonly in_toto_statement_types_allowed: string[] | null
    readonly payload_type: string
    readonly tlog_entries_min?: number
    readonly tlog_entries_max?: number | null
    readonly sct_min?: number
    readonly observer_timestamps_min?: number
  }
  readonly trust_root_b64: string
  readonly verification_time_unix: number
}

interface Expected {
  readonly accepted: boolean
  readonly rejection?: { readonly code: string | string[] }
  readonly outputs?: {
    readonly cert_workflow_repository: string, readonly measurement?: { readonly registers: string[] }
  }
}

/**
 * The check of ours that says what a code of the suite says. What the library finds is one check, its detail says
 * which.
 */
const checksOf: Readonly<Record<string, string>> = {
  BUNDLE_MALFORMED: 'provenance-bundle',
  CERT_EXPIRED: 'provenance-signature',
  CHECKPOINT_ROOT_MISMATCH: 'provenance-log',
  DSSE_SIGNATURE_INVALID: 'provenance-signature',
  FULCIO_CHAIN_INVALID: 'provenance-signature',
  IN_TOTO_STATEMENT_TYPE_NOT_ALLOWED: 'provenance-statement',
  OIDC_ISSUER_MISMATCH: 'provenance-issuer',
  PAYLOAD_TYPE_MISMATCH: 'provenance-payload',
  PREDICATE_MEASUREMENT_INVALID: 'provenance-measurements',
  PREDICATE_TYPE_NOT_ALLOWED: 'provenance-predicate',
  REKOR_INCLUSION_INVALID: 'provenance-signature',
  REKOR_KEY_NOT_TRUSTED: 'provenance-signature',
  SCT_DUPLICATE_LOG: 'provenance-signature',
  SCT_INSUFFICIENT: 'provenance-signature',
  SUBJECT_DIGEST_MISMATCH: 'provenance-subject',
  TLOG_COUNT_OUT_OF_RANGE: 'provenance-log',
  TRUST_ROOT_INVALID: 'provenance-signature',
  WORKFLOW_REF_PREFIX_MISMATCH: 'provenance-ref'
}

const folder = new URL('../../../../../shared/vectors/sigstore/', import.meta.url)
if (!existsSync(folder)) {
  t.pass('cases', { skip: '../shared/vectors/sigstore is absent' })
} else {
  for (const name of readdirSync(folder)) {
    const read = <T>(file: string) => JSON.parse(readFileSync(new URL(`${name}/${file}`, folder), 'utf8')) as T
    t.test(name, async t => {
      const { bundle_b64: bundle, policy, ...input } = read<Input>('input.json')
      const { accepted, rejection, outputs } = read<Expected>('expected.json')
      const findings = await appraiseProvenance(Buffer.from(bundle, 'base64').toString(), {
        policy: {
          repository: input.repo,
          issuer: policy.oidc_issuer,
          refPrefix: policy.workflow_ref_prefix,
          payloadType: policy.payload_type,
          minimumLogEntries: policy.tlog_entries_min ?? 1,
          minimumCertificateTimestamps: policy.sct_min ?? 1,
          minimumTimestamps: policy.observer_timestamps_min ?? 1,
          ...policy.predicate_types_allowed && { predicateTypes: policy.predicate_types_allowed },
          ...policy.in_toto_statement_types_allowed && { statementTypes: policy.in_toto_statement_types_allowed },
          ...policy.tlog_entries_max && { maximumLogEntries: policy.tlog_entries_max }
        },
        running: { digest: input.expected_digest_sha256_hex },
        trustedRoot: JSON.parse(Buffer.from(input.trust_root_b64, 'base64').toString()),
        now: new Date(input.verification_time_unix * 1000)
      })
      const failed = findings.checks.filter(({ outcome }) => outcome === 'failed')
      t.comment(failed.map(({ name, detail }) => `${name}: ${detail}`).join('; '))
      t.equal(failed.length === 0, accepted)
      if (!accepted) {
        const wanted = [rejection?.code ?? []].flat().map(code => checksOf[code])
        t.ok(
          failed.some(({ name }) => wanted.includes(name)),
          `${failed.map(({ name }) => name).join(', ')}: one of ${wanted.join(', ')}`
        )
      }
      if (outputs?.measurement) {
        const { snp, tdx } = findings.measurements
        t.same([snp, tdx?.rtmr1, tdx?.rtmr2], outputs.measurement.registers)
        t.equal(findings.source?.repository, outputs.cert_workflow_repository)
      }
    })
  }
}
