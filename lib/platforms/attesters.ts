/** Makes the attester that the settings name. Each is loaded only when it is the one in use: a start has to be short. */
import type { Attester, AttesterType } from '../attestation/attester.ts'
import { detectAttester, hasTsmReports } from './detect.ts'
import { none } from './local/no-evidence.ts'

export interface AttesterSettings {
  readonly type: AttesterType | 'auto'
  /** Of Google's tokens. */
  readonly audience: string
  /** URL of Azure's sidecar, where one is named. Azure Attestation is then asked through it, else directly. */
  readonly azureSidecar: string | undefined
  readonly maaEndpoint: string | undefined
  /** PEM, for hosts that give no certificates with SEV-SNP reports. */
  readonly certificatesFile: string | undefined
  /** `UVM_SECURITY_CONTEXT_DIR`. */
  readonly azureSecurityContext: string | undefined
  /** Where the kernel has its reports. */
  readonly tsmReports?: string
}

/** The settings contradict each other, in words for operators. */
export class AttesterSettingsError extends Error {
  override readonly name = 'AttesterSettingsError'
  readonly code = 'ERR_ATTESTER_SETTINGS'
}

/** @throws {AttesterSettingsError} */
export async function createAttester (settings: AttesterSettings): Promise<Attester> {
  const { audience, azureSidecar, maaEndpoint, certificatesFile, azureSecurityContext, tsmReports } = settings
  const reports = tsmReports === undefined ? {} : { tsmReports }
  const sidecar = azureSidecar === undefined ? {} : { endpoint: azureSidecar }
  const type = settings.type === 'auto' ? await detectAttester({ azureSecurityContext, hasMaaEndpoint: maaEndpoint !== undefined, ...reports }) : settings.type
  switch (type) {
    case 'google-confidential-space': return (await import('./google/confidential-space.ts')).googleConfidentialSpace({ audience })
    case 'azure-maa': {
      if (maaEndpoint === undefined) throw new AttesterSettingsError('azure-maa needs the address of an attestation provider')
      const { azureMaa, maaSidecar } = await import('./azure/maa.ts')
      if (azureSidecar !== undefined || !await hasTsmReports(tsmReports)) return azureMaa(maaSidecar({ maaEndpoint, ...sidecar }))
      const { maaDirect } = await import('./azure/maa-direct.ts')
      return azureMaa(maaDirect({ maaEndpoint, certificatesFile, azureSecurityContext, ...reports }))
    }
    case 'azure-snp': return (await import('./azure/snp.ts')).azureSnp(sidecar)
    case 'configfs-tsm': return (await import('./linux/configfs-tsm.ts')).configfsTsm({ certificatesFile, ...tsmReports !== undefined && { path: tsmReports } })
    case 'simulated': return (await import('./local/simulated-evidence.ts')).simulated()
    case 'none': return none
  }
}
