/**
 * A raw SEV-SNP report through Azure's sidecar, with AMD's certificates and Azure's endorsement of the utility VM. The
 * sidecar puts SHA-256(runtime data) into the report, so the runtime data is the pre-image of the binding.
 */
import { MEDIA_TYPES, reportData } from '../../protocols/attestation.ts'
import { encodeBase64url } from '../../protocols/base64url.ts'
import type { Attester } from '../../attestation/attester.ts'
import { AttesterError } from '../../attestation/attester.ts'
import { askSidecar } from './sidecar-evidence.ts'
import type { AzureSidecarOptions } from './sidecar-evidence.ts'
import { certificatesOfCache } from '../../attestation/certificates.ts'
import { snpReportData } from '../../attestation/reports.ts'

export function azureSnp (sidecar: AzureSidecarOptions = {}): Attester {
  return {
    type: 'azure-snp',
    async evidence ({ preimage, binding, signal }) {
      const body = { runtime_data: Buffer.from(preimage).toString('base64') }
      const answer = await askSidecar(sidecar, '/attest/combined', body, ['evidence', 'endorsements', 'uvm_endorsements'], signal)
      const report = Buffer.from(answer.evidence, 'base64')
      // Without an SNP device the sidecar answers all the same, with a made-up report.
      if (!snpReportData(report)?.equals(reportData(binding))) {
        throw new AttesterError('The Azure sidecar answered with a report about something else', { transient: true })
      }
      return {
        tee: 'sev-snp',
        evidence: [[MEDIA_TYPES.snpReport, encodeBase64url(report)]],
        endorsements: [
          ...certificatesOfCache(Buffer.from(answer.endorsements, 'base64').toString('utf8')),
          [MEDIA_TYPES.cose, encodeBase64url(Buffer.from(answer.uvm_endorsements, 'base64'))]
        ]
      }
    }
  }
}
