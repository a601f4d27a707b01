/**
 * How the proxy proves itself to Azure Attestation for a release of `azure-key-vault`: through the sidecar where one is
 * named, else by itself with the kernel's reports. Where neither is there, a sidecar at its usual place is tried.
 */
import { AttesterError } from '../../attestation/attester.ts'
import { hostOf } from './maa.ts'
import { hasTsmReports } from '../detect.ts'
import { maaDirect } from './maa-direct.ts'
import type { MaaDirectOptions } from './maa-direct.ts'
import { attestMaa, SIDECAR_ENDPOINT } from './sidecar-keys.ts'
import { KeyFetchError } from '../../remote/fetch-error.ts'

export interface AzureAttestOptions extends MaaDirectOptions {
  /** URL of the sidecar. */
  readonly sidecar?: string
}

/** As `AzureKeyVaultOptions.attest`. */
export type AzureAttest = (runtimeData: Uint8Array, signal: AbortSignal) => Promise<string>

export function azureAttest ({ sidecar, ...direct }: AzureAttestOptions): AzureAttest {
  const host = hostOf(direct.maaEndpoint)
  const tokens = maaDirect(direct)
  return async (runtimeData, signal) => {
    if (sidecar !== undefined) return attestMaa(sidecar, host, runtimeData, signal)
    try {
      // Looked at each time: mounts may come late.
      if (await hasTsmReports(direct.tsmReports)) return await tokens(runtimeData, signal)
      return await attestMaa(SIDECAR_ENDPOINT, host, runtimeData, signal)
    } catch (error) {
      signal.throwIfAborted()
      throw asFetchError(error)
    }
  }
}

function asFetchError (error: unknown): unknown {
  if (error instanceof AttesterError) {
    const { message, transient, providerCode = 'ATTESTER', advice = 'Check that /sys/kernel/config/tsm/report is this machine\'s, and that this process may write there', retryAfter } = error
    return new KeyFetchError(transient ? 'transient' : 'refused', message, { providerCode, advice, retryAfter, cause: error })
  }
  if (error instanceof KeyFetchError && error.providerCode === 'ECONNREFUSED') {
    return new KeyFetchError('transient', 'There is nothing here to attest with: neither the kernel\'s reports nor a sidecar', {
      providerCode: 'NO_ATTESTER', cause: error, advice: 'Mount /sys/kernel/config into this container, on a machine whose kernel has tsm/report there, or run the secure key release sidecar beside it'
    })
  }
  return error
}
