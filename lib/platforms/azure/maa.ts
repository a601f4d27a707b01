/** Evidence from Microsoft Azure Attestation: a token whose runtime data holds the binding. */
import { MEDIA_TYPES, maaRuntimeData } from '../../protocols/attestation.ts'
import { withoutTrailingSlashes } from '../../protocols/trailing-slashes.ts'
import type { Attester } from '../../attestation/attester.ts'
import { askSidecar } from './sidecar-evidence.ts'
import type { AzureSidecarOptions } from './sidecar-evidence.ts'
import { readToken } from '../../attestation/token.ts'

/**
 * Obtains a token of Azure Attestation whose claim `x-ms-runtime` is `runtimeData`: JSON, as octets.
 *
 * @throws {AttesterError}
 */
export type MaaTokens = (runtimeData: Uint8Array, signal?: AbortSignal) => Promise<string>

export function azureMaa (tokens: MaaTokens): Attester {
  return {
    type: 'azure-maa',
    async evidence ({ binding, signal }) {
      const token = await tokens(new TextEncoder().encode(maaRuntimeData(binding)), signal)
      const { expiresAt } = readToken(token, 'Azure Attestation')
      return { tee: 'azure-maa', evidence: [[MEDIA_TYPES.jwt, token]], endorsements: [], expiresAt }
    }
  }
}

export interface MaaSidecarOptions extends AzureSidecarOptions {
  /** The attestation provider: a host such as sharedneu.neu.attest.azure.net, or its URL. */
  readonly maaEndpoint: string
}

/** Tokens that the secure key release sidecar obtains. */
export function maaSidecar ({ maaEndpoint, ...sidecar }: MaaSidecarOptions): MaaTokens {
  return async (runtimeData, signal) => {
    const body = { maa_endpoint: hostOf(maaEndpoint), runtime_data: Buffer.from(runtimeData).toString('base64') }
    const { token } = await askSidecar(sidecar, '/attest/maa', body, ['token'], signal)
    return token
  }
}

/** Without scheme and path: the sidecar adds https:// itself. */
export function hostOf (endpoint: string): string {
  return withoutTrailingSlashes(endpoint.replace(/^https?:\/\//i, ''))
}
