/** Settings of the kernel's reports. */
import { PREFIX } from '../../config/settings/setting.ts'
import type { SettingsTable } from '../../config/settings/setting.ts'

/** Where the kernel has its reports. */
export const TSM_REPORTS = '/sys/kernel/config/tsm/report'

export const linuxSettings = {
  attestationCertificatesFile: {
    env: `${PREFIX}ATTESTATION_CERTIFICATES_FILE`,
    type: 'string',
    isFile: true,
    description: 'The kernel\'s SEV-SNP reports: AMD\'s certificates for this machine (PEM: VCEK or VLEK, ASK, ' +
      'ARK), for hosts that supply none with the report.'
  }
} as const satisfies SettingsTable
