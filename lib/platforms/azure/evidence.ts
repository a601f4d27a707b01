/** Attester types of Azure: through the sidecar, or straight from the kernel's reports. */
import type { Values } from '../../config/settings/setting.ts'
import { hasTsmReports } from '../linux/evidence.ts'
import { TSM_REPORTS } from '../linux/settings.ts'
import { exists } from '../platform.ts'
import type { AttesterType, Machine } from '../platform.ts'
import { SECURITY_CONTEXT } from './container/security-context.ts'
import type { UsedSettings } from './settings.ts'

type Settings = Values<UsedSettings>

export const attesterTypes: readonly AttesterType<UsedSettings>[] = [
  {
    name: 'azure-maa',
    requires: ['attestationMaaEndpoint'],
    proofs: [{
      proves: 'Microsoft verified an SEV-SNP report; the utility VM is Microsoft\'s; host data names the allowed ' +
        'containers',
      trusted: 'Microsoft\'s attestation service and its utility VM; AMD',
      unproven: 'That the enforcement policy is strict: read it'
    }],
    detect: async (settings, machine) => settings.attestationMaaEndpoint !== undefined && await isAzure(machine),
    async create (settings, { env, root }) {
      const { azureMaa, maaSidecar } = await import('./maa.ts')
      const { attestationMaaEndpoint: maaEndpoint = '', attestationCertificatesFile: certificatesFile } = settings
      if (settings.attestationAzureSidecar !== undefined || !await hasTsmReports(root + TSM_REPORTS)) {
        return azureMaa(maaSidecar({ maaEndpoint, ...sidecarOf(settings) }))
      }
      const { maaDirect } = await import('./maa-direct.ts')
      return azureMaa(maaDirect({
        maaEndpoint, certificatesFile, azureSecurityContext: env[SECURITY_CONTEXT], tsmReports: root + TSM_REPORTS
      }))
    }
  },
  {
    name: 'azure-snp',
    requires: [],
    proofs: [{
      proves: 'The same report, raw; the client verifies AMD\'s signature itself',
      trusted: 'AMD',
      unproven: 'That the utility VM is Microsoft\'s, unless its measurement is pinned. The SDK does not verify ' +
        'Azure\'s endorsement of it'
    }],
    detect: (_settings, machine) => isAzure(machine),
    async create (settings, { env, root }) {
      const { azureSnp, azureSnpDirect } = await import('./snp.ts')
      if (settings.attestationAzureSidecar !== undefined || !await hasTsmReports(root + TSM_REPORTS)) {
        return azureSnp(sidecarOf(settings))
      }
      const { attestationCertificatesFile: certificatesFile } = settings
      return azureSnpDirect({
        certificatesFile,
        azureSecurityContext: env[SECURITY_CONTEXT],
        referenceInfo: env['UVM_REFERENCE_INFO'],
        tsmReports: root + TSM_REPORTS
      })
    }
  }
]

async function isAzure ({ env }: Machine): Promise<boolean> {
  const directory = env[SECURITY_CONTEXT] ?? ''
  return directory !== '' && exists(directory, 'isDirectory')
}

function sidecarOf ({ attestationAzureSidecar: endpoint }: Settings) {
  return endpoint === undefined ? {} : { endpoint }
}
