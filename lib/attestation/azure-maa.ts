/** Evidence from Microsoft Azure Attestation, through the sidecar: a token whose runtime data holds the binding. */
import { MEDIA_TYPES, maaRuntimeData } from '../protocols/attestation.ts'
import type { Attester } from './attester.ts'
import { askSidecar } from './azure-sidecar.ts'
import type { AzureSidecarOptions } from './azure-sidecar.ts'
import { readToken } from './token.ts'

export interface AzureMaaOptions extends AzureSidecarOptions {
  /** Host of the attestation provider, e.g. sharedneu.neu.attest.azure.net; the sidecar adds https:// itself. */
  readonly maaEndpoint: string
}

export function azureMaa ({ maaEndpoint, ...sidecar }: AzureMaaOptions): Attester {
  const host = maaEndpoint.replace(/^https:\/\//, '').replace(/\/+$/, '')
  return {
    type: 'azure-maa',
    async evidence ({ binding, signal }) {
      const body = { maa_endpoint: host, runtime_data: Buffer.from(maaRuntimeData(binding)).toString('base64') }
      const { token } = await askSidecar(sidecar, '/attest/maa', body, ['token'], signal)
      const { expiresAt } = readToken(token, 'The Azure sidecar')
      return { tee: 'azure-maa', evidence: [[MEDIA_TYPES.jwt, token]], endorsements: [], expiresAt }
    }
  }
}
