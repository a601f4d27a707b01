/** Makes the attester that the settings name. */
import type { Attester, AttesterType } from './attester.ts'
import { azureMaa } from './azure-maa.ts'
import { azureSnp } from './azure-snp.ts'
import { configfsTsm } from './configfs-tsm.ts'
import { detectAttester } from './detect.ts'
import { googleConfidentialSpace } from './google-confidential-space.ts'
import { none } from './none.ts'

export interface AttesterSettings {
  readonly type: AttesterType | 'auto'
  /** Of Google's tokens. */
  readonly audience: string
  /** Of Azure's sidecar. */
  readonly azureSidecar: string
  readonly maaEndpoint: string | undefined
  /** PEM, for hosts that give no certificates with SEV-SNP reports. */
  readonly certificatesFile: string | undefined
  /** `UVM_SECURITY_CONTEXT_DIR`. */
  readonly azureSecurityContext: string | undefined
}

/** The settings contradict each other, in words for operators. */
export class AttesterSettingsError extends Error {
  override readonly name = 'AttesterSettingsError'
  readonly code = 'ERR_ATTESTER_SETTINGS'
}

/** @throws {AttesterSettingsError} */
export async function createAttester (settings: AttesterSettings): Promise<Attester> {
  const { audience, azureSidecar: endpoint, maaEndpoint, certificatesFile, azureSecurityContext } = settings
  const type = settings.type === 'auto' ? await detectAttester({ azureSecurityContext, hasMaaEndpoint: maaEndpoint !== undefined }) : settings.type
  switch (type) {
    case 'google-confidential-space': return googleConfidentialSpace({ audience })
    case 'azure-maa':
      if (maaEndpoint === undefined) throw new AttesterSettingsError('azure-maa needs the address of an attestation provider')
      return azureMaa({ endpoint, maaEndpoint })
    case 'azure-snp': return azureSnp({ endpoint })
    case 'configfs-tsm': return configfsTsm({ certificatesFile })
    case 'simulated': return (await import('./simulated.ts')).simulated()
    case 'none': return none
  }
}
