// A peer's conformance cases for TDX quotes, every one that lies in the folder: what it accepts is accepted here, and
// what it refuses is refused. Some cases bring a root of their own; some lack what Intel publishes for all, which then
// comes from a recording.
import { createHash, X509Certificate } from 'node:crypto'
import t from 'tap'
import { appraise } from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy, TdxCollateral, TdxPolicy } from '../../../sdk/attestation/index.ts'
import { signedMember } from '../../../sdk/attestation/tdx/collateral/intel.ts'
import { absent, sharedFolders, sharedJson } from '../../fixtures/shared.ts'
import { failed } from '../../fixtures/verdict.ts'

const SUITE = ['vectors', 'attestation-tdx'] as const

interface Input {
  readonly quote_b64: string
  readonly collateral: Record<string, string>
  readonly expiration_check_date_unix: number
  readonly policy?: Record<string, unknown>
}

/** Their names of statuses, and ours. */
const RESULTS: Readonly<Record<string, NonNullable<TdxPolicy['tcbStatuses']>[number]>> = {
  OK: 'UpToDate',
  CONFIG_NEEDED: 'ConfigurationNeeded',
  SW_HARDENING_NEEDED: 'SWHardeningNeeded',
  CONFIG_AND_SW_HARDENING_NEEDED: 'ConfigurationAndSWHardeningNeeded',
  OUT_OF_DATE: 'OutOfDate',
  OUT_OF_DATE_CONFIG_NEEDED: 'OutOfDateConfigurationNeeded'
}
/** What the suite accepts unless a case says otherwise. */
const ACCEPTED = ['OK', 'CONFIG_NEEDED', 'SW_HARDENING_NEEDED', 'CONFIG_AND_SW_HARDENING_NEEDED']

/** A pin of theirs as one of ours. */
const PINS: Readonly<Record<string, (value: string) => TdxPolicy>> = {
  expected_fmspc_hex: value => ({ fmspcs: [value] }),
  expected_td_attributes_hex: value => ({ attributes: [value] }),
  expected_xfam_hex: value => ({ xfam: [value] }),
  expected_mr_signer_seam_hex: value => ({ mrsignerseam: [value] }),
  expected_seam_attributes_hex: value => ({ seamAttributes: [value] }),
  expected_mr_config_id_hex: value => ({ mrconfigid: [value] }),
  expected_mr_owner_hex: value => ({ mrowner: [value] }),
  expected_mr_owner_config_hex: value => ({ mrownerconfig: [value] }),
  expected_qe_vendor_id_hex: value => ({ qeVendorIds: [value] }),
  min_tee_tcb_svn_hex: value => ({ minimumTeeTcbSvn: value })
}
const REGISTER = /^expected_(mrtd|rtmr[0-3])_hex$/

function policyOf (given: Record<string, unknown>): { policy: AttestationPolicy, reportData?: Buffer } {
  const registers: Record<string, string> = {}
  let reportData: Buffer | undefined
  let tdx: TdxPolicy = { tcbStatuses: ACCEPTED.map(name => RESULTS[name]!) }
  for (const [name, value] of Object.entries(given)) {
    const text = typeof value === 'string' ? value.toLowerCase() : ''
    const pin = PINS[name]
    const [, register] = REGISTER.exec(name) ?? []
    if (pin) tdx = { ...tdx, ...pin(text) }
    else if (register !== undefined) registers[register] = text
    else if (name === 'expected_report_data_hex') reportData = Buffer.from(text, 'hex')
    else if (name === 'expected_mrseam_allowlist') {
      tdx = {
        ...tdx, mrseam: (value as string[]).map(item => item.toLowerCase())
      }
    } else if (name === 'accepted_qv_results') {
      tdx = {
        ...tdx, tcbStatuses: (value as string[]).flatMap(item => RESULTS[item] ?? [])
      }
    } else if (name === 'min_tcb_evaluation_data_number') {
      tdx = {
        ...tdx, minimumTcbEvaluationDataNumber: Number(value)
      }
    } else if (name === 'tcb_evaluation_required') tdx = { ...tdx, withoutCollateral: value === false }
    else if (name !== 'enforce_spec_defaults') throw new Error(`a pin that is not known: ${name}`)
  }
  // The suite's genuine quotes let the host cause virtualization exceptions, and have a remark behind their end.
  tdx = {
    ...tdx,
    allowSeptVe: true,
    allowTrailingBytes: true,
    ...Object.keys(registers).length > 0 && { measurements: [registers] }
  }
  return { policy: { version: 1, insecure: true, platforms: { tdx } }, ...reportData && { reportData } }
}

/** What Intel publishes for all platforms, unless the case brings its own. */
function collateralOf ({ collateral }: Input, published: TdxCollateral): unknown {
  const hex = (base64 = '') => Buffer.from(base64, 'base64').toString('hex')
  try {
    const info = signedMember('tcbInfo', collateral['tcb_info_json'] ?? '')
    const identity = signedMember('enclaveIdentity', collateral['qe_identity_json'] ?? '')
    return {
      tcb_info: info.text,
      tcb_info_signature: info.signature,
      tcb_info_issuer_chain: collateral['tcb_info_issuer_chain_pem'] ?? published.tcb_info_issuer_chain,
      qe_identity: identity.text,
      qe_identity_signature: identity.signature,
      qe_identity_issuer_chain: collateral['qe_identity_issuer_chain_pem'] ?? published.qe_identity_issuer_chain,
      pck_crl: hex(collateral['pck_crl_der_b64']),
      pck_crl_issuer_chain: collateral['pck_crl_issuer_chain_pem'] ?? published.pck_crl_issuer_chain,
      root_ca_crl: hex(collateral['root_crl_der_b64'])
    } satisfies TdxCollateral
  } catch {
    // Not the form of Intel's answers: the verifier has to say so.
    return {}
  }
}

function rootsOf ({ collateral: { intel_root_ca_pem: pem } }: Input): { roots?: string[] } {
  if (pem === undefined) return {}
  const spki = new X509Certificate(pem).publicKey.export({ format: 'der', type: 'spki' })
  return { roots: [createHash('sha256').update(spki).digest('hex')] }
}

const skip = absent(...SUITE) || absent('fixtures', 'tdx')
for (const name of skip ? [] : sharedFolders(...SUITE)) {
  t.test(name, async t => {
    const input = sharedJson(...SUITE, name, 'input.json') as Input
    const { accepted } = sharedJson(...SUITE, name, 'expected.json') as { accepted: boolean }
    const published = sharedJson('fixtures', 'tdx', 'collateral.json') as TdxCollateral
    const { policy, reportData } = policyOf(input.policy ?? {})
    const quote = Buffer.from(input.quote_b64, 'base64').toString('base64url')
    const verdict = await appraise({ tee: 'tdx', evidence: [['application/vnd.polaris.tdx-quote', quote]] }, policy, {
      now: new Date(input.expiration_check_date_unix * 1000),
      platforms: { tdx: { ...rootsOf(input), collateral: collateralOf(input, published) as TdxCollateral } },
      ...reportData && { reportData }
    })
    t.equal(verdict.verified, accepted, JSON.stringify(verdict.checks.filter(({ outcome }) => outcome === 'failed')))
    if (!accepted) t.not(failed(verdict).length, 0, failed(verdict).join(', '))
    t.comment(`${accepted ? 'accepted' : 'refused'}: ${failed(verdict).join(', ')}`)
  })
}
t.test('the cases are there', { skip }, async t => t.ok(sharedFolders(...SUITE).length > 0))
