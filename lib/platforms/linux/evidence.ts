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
    detect: (_settings, { root }) => hasTsmReports(root + TSM_REPORTS),
    async create ({ attestationCertificatesFile }, { root }) {
      const { configfsTsm } = await import('./configfs-tsm.ts')
      return configfsTsm({ certificatesFile: attestationCertificatesFile, path: root + TSM_REPORTS })
    }
  }
]
