/** Attester type of the kernel's own reports. */
import { exists } from '../platform.ts'
import type { AttesterType } from '../platform.ts'
import { TSM_REPORTS } from './settings.ts'
import type { linuxSettings } from './settings.ts'

/** Whether the kernel gives reports to this process. */
export function hasTsmReports (path = TSM_REPORTS): Promise<boolean> {
  return exists(path, 'isDirectory')
}

export const attesterTypes: readonly AttesterType<typeof linuxSettings>[] = [
  {
    name: 'configfs-tsm',
    requires: [],
    proofs: [
      {
        kind: 'SEV-SNP',
        proves: 'A genuine AMD chip runs a guest with this launch measurement',
        trusted: 'AMD, and the party that computed the measurement',
        unproven: 'What the guest loads after launch, unless the measurement covers it (kernel, command line, verity ' +
          'root)'
      },
      {
        kind: 'TDX',
        proves: 'A genuine Intel platform runs a trust domain with these measurements',
        trusted: 'Intel, and the party that computed them',
        unproven: 'As above; MRTD covers only the firmware, the run-time registers the rest'
      }
    ],
    detect: (_settings, { root }) => hasTsmReports(root + TSM_REPORTS),
    async create ({ attestationCertificatesFile }, { root }) {
      const { configfsTsm } = await import('./configfs-tsm.ts')
      return configfsTsm({ certificatesFile: attestationCertificatesFile, path: root + TSM_REPORTS })
    }
  }
]
