/**
 * A raw SEV-SNP report through Azure's sidecar, with AMD's certificates and Azure's endorsement of the utility VM. The
 * sidecar puts SHA-256(runtime data) into the report, so the runtime data is the pre-image of the binding.
 */
import { MEDIA_TYPES, reportData } from '../../protocols/attestation.ts'
import { encodeBase64url } from '../../protocols/base64url.ts'
import type { Attester } from '../../attestation/attester.ts'
import { RemoteError } from '../../remote/error.ts'
import { attestCombined } from './sidecar.ts'
import type { SidecarOptions } from './sidecar.ts'
import { certificatesOfCache } from '../../attestation/certificates.ts'
import { snpReportData } from '../../attestation/reports.ts'
import { configfsTsm } from '../linux/configfs-tsm.ts'
import { hostCertificates, utilityVmEndorsement } from './container/security-context.ts'

export function azureSnp (sidecar: SidecarOptions = {}): Attester {
  return {
    type: 'azure-snp',
    async evidence ({ preimage, binding, signal }) {
      const { evidence: report, endorsements, uvmEndorsements } = await attestCombined(sidecar, preimage, signal)
      // Without an SNP device the sidecar answers all the same, with a made-up report.
      if (!snpReportData(report)?.equals(reportData(binding))) {
        throw new RemoteError('transient', 'The Azure sidecar answered with a report for another request', {
          providerCode: 'OTHER_REPORT',
          advice: 'Check that this runs on a confidential SKU: elsewhere the sidecar makes reports up'
        })
      }
      return {
        tee: 'sev-snp',
        evidence: [[MEDIA_TYPES.snpReport, encodeBase64url(report)]],
        endorsements: [
          ...certificatesOfCache(endorsements.toString('utf8')),
          [MEDIA_TYPES.cose, encodeBase64url(uvmEndorsements)]
        ]
      }
    }
  }
}

export interface AzureSnpDirectOptions {
  /** Where the kernel has its reports. */
  readonly tsmReports: string
  /** AMD's certificates (PEM), for hosts that give none. */
  readonly certificatesFile?: string | undefined
  /** `UVM_SECURITY_CONTEXT_DIR`. */
  readonly azureSecurityContext?: string | undefined
  /** `UVM_REFERENCE_INFO`, where Azure has no file for it: the endorsement of the utility VM in base64. */
  readonly referenceInfo?: string | undefined
}

/** The same without a sidecar: the kernel's report, and the files that Azure puts beside it. */
export function azureSnpDirect (
  { tsmReports, certificatesFile, azureSecurityContext, referenceInfo = '' }: AzureSnpDirectOptions
): Attester {
  const kernel = configfsTsm({ path: tsmReports, certificatesFile })
  return {
    type: 'azure-snp',
    async evidence (request) {
      const found = await kernel.evidence(request)
      const certificates = [...found.endorsements, ...await hostCertificates(azureSecurityContext)]
      const file = await utilityVmEndorsement(azureSecurityContext)
      const endorsement = file.length > 0 ? file : Buffer.from(referenceInfo, 'base64')
      return {
        ...found,
        endorsements: [
          ...new Map(certificates.map(certificate => [certificate[1], certificate])).values(),
          ...endorsement.length > 0 ? [[MEDIA_TYPES.cose, encodeBase64url(endorsement)] as const] : []
        ]
      }
    }
  }
}
