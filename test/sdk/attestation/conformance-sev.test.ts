// A peer's conformance cases for SEV-SNP reports, every one that lies in the folder: what it accepts is accepted here,
// and what it refuses is refused. Some cases bring a root of their own; AMD's certificates come from a recording
// otherwise.
import { createHash, X509Certificate } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import type { TypedValue } from '../../../lib/protocols/attestation.ts'
import { appraise } from '../../../sdk/attestation/index.ts'
import type { SnpPolicy } from '../../../sdk/attestation/index.ts'
import { absent, shared, sharedFolders, sharedJson } from '../../fixtures/shared.ts'
import { failed } from '../../fixtures/verdict.ts'

const SUITE = ['vectors', 'attestation-sev'] as const

interface Input {
  /** The report, with gzip. */
  readonly attestation_doc_b64: string
  readonly vcek_der_b64: string
  readonly ask_pem?: string
  readonly amd_root_ca_pem?: string
  readonly expiration_check_date_unix: number
  readonly policy?: Record<string, unknown>
}

/** A pin of theirs as one of ours. */
const PINS: Readonly<Record<string, (value: string) => SnpPolicy>> = {
  expected_measurement_hex: value => ({ measurements: [value] }),
  expected_host_data_hex: value => ({ hostData: [value] }),
  expected_id_key_digest_hex: value => ({ idKeyDigests: [value] }),
  expected_author_key_digest_hex: value => ({ authorKeyDigests: [value] }),
  expected_family_id_hex: value => ({ familyIds: [value] }),
  expected_image_id_hex: value => ({ imageIds: [value] }),
  expected_chip_id_hex: value => ({ chipIds: [value] })
}
const TCB = { bl: 'bootloader', tee: 'tee', snp: 'snp', ucode: 'microcode', fmc: 'fmc' } as const

function policyOf (given: Record<string, unknown>): { policy: SnpPolicy, reportData?: Buffer } {
  const minimumTcb: Record<string, number> = {}
  let reportData: Buffer | undefined
  let policy: SnpPolicy = { anyHostData: true }
  for (const [name, value] of Object.entries(given)) {
    const text = typeof value === 'string' ? value.toLowerCase() : ''
    const pin = PINS[name]
    const [, part] = /^min_tcb_(bl|tee|snp|ucode|fmc)_spl$/.exec(name) ?? []
    if (pin) policy = { ...policy, ...pin(text) }
    else if (part !== undefined) minimumTcb[TCB[part as keyof typeof TCB]] = Number(value)
    else if (name === 'expected_report_data_hex') reportData = Buffer.from(text, 'hex')
    else if (name === 'expected_vmpl' || name === 'max_vmpl') policy = { ...policy, maximumVmpl: Number(value) }
    else if (name === 'min_guest_svn') policy = { ...policy, minimumGuestSvn: Number(value) }
    else if (name !== 'enforce_spec_defaults') throw new Error(`a pin that is not known: ${name}`)
  }
  return {
    policy: { ...policy, ...Object.keys(minimumTcb).length > 0 && { minimumTcb } }, ...reportData && { reportData }
  }
}

const skip = absent(...SUITE) || absent('fixtures', 'snp-genoa')
for (const name of skip ? [] : sharedFolders(...SUITE)) {
  t.test(name, async t => {
    const input = sharedJson(...SUITE, name, 'input.json') as Input
    const { accepted } = sharedJson(...SUITE, name, 'expected.json') as { accepted: boolean }
    const own = input.amd_root_ca_pem === undefined ? undefined : new X509Certificate(input.amd_root_ca_pem)
    const chain = own
      ? [new X509Certificate(input.ask_pem ?? '').raw, own.raw]
      : [shared('fixtures', 'snp-genoa', 'ask.der'), shared('fixtures', 'snp-genoa', 'ark.der')]
    const { policy, reportData } = policyOf(input.policy ?? {})
    const roots = own && {
      [createHash('sha256').update(
        own.publicKey.export({ format: 'der', type: 'spki' })
      ).digest('hex')]: 'Genoa' as const
    }
    const verdict = await appraise({
      tee: 'sev-snp',
      evidence: [
        [MEDIA_TYPES.snpReport, gunzipSync(Buffer.from(input.attestation_doc_b64, 'base64')).toString('base64url')]
      ],
      endorsements: [Buffer.from(input.vcek_der_b64, 'base64'), ...chain].map(
        (der): TypedValue => [MEDIA_TYPES.certificate, der.toString('base64url')]
      )
    }, { version: 1, insecure: true, platforms: { 'sev-snp': policy } }, {
      now: new Date(input.expiration_check_date_unix * 1000),
      ...roots && { platforms: { 'sev-snp': { roots } } },
      ...reportData && { reportData }
    })
    t.equal(verdict.verified, accepted, JSON.stringify(verdict.checks.filter(({ outcome }) => outcome === 'failed')))
    t.comment(`${accepted ? 'accepted' : 'refused'}: ${failed(verdict).join(', ')}`)
  })
}
t.test('the cases are there', { skip }, async t => t.ok(sharedFolders(...SUITE).length > 0))
