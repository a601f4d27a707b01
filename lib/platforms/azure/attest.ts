/**
 * How the proxy proves itself to Azure Attestation for a release of `azure-key-vault`: through the sidecar where one is
 * named, else by itself with the kernel's reports. Where neither is there, a sidecar at its usual place is tried.
 */
import { RemoteError } from '../../remote/error.ts'
import { hasTsmReports } from '../linux/evidence.ts'
import type { MaaTokens } from './maa.ts'
import { maaDirect } from './maa-direct.ts'
import type { MaaDirectOptions } from './maa-direct.ts'
import { attestMaa } from './sidecar.ts'

export interface AzureAttestOptions extends MaaDirectOptions {
  /** URL of the sidecar. */
  readonly sidecar?: string
}

export function azureAttest ({ sidecar, ...direct }: AzureAttestOptions): MaaTokens {
  const tokens = maaDirect(direct)
  return async (runtimeData, signal) => {
    if (sidecar !== undefined) return attestMaa({ endpoint: sidecar }, direct.maaEndpoint, runtimeData, signal)
    // Looked at each time: mounts may come late.
    if (await hasTsmReports(direct.tsmReports)) return tokens(runtimeData, signal)
    try {
      return await attestMaa({}, direct.maaEndpoint, runtimeData, signal)
    } catch (error) {
      throw error instanceof RemoteError && error.providerCode === 'ECONNREFUSED' ? nothingHere(error) : error
    }
  }
}

function nothingHere (cause: RemoteError): RemoteError {
  const message = 'There is nothing here to attest with: neither the kernel\'s reports nor a sidecar'
  return new RemoteError('transient', message, {
    providerCode: 'NO_ATTESTER',
    cause,
    advice: 'Mount /sys/kernel/config into this container, on a machine whose kernel has tsm/report there, or run the ' +
      'secure key release sidecar beside it'
  })
}
