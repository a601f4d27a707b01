/** Evidence from Microsoft Azure Attestation: a token whose runtime data holds the binding. */
import { MEDIA_TYPES, maaRuntimeData } from '../../protocols/attestation.ts'
import type { Attester } from '../../attestation/attester.ts'
import { readToken } from '../../attestation/token.ts'
import { attestMaa } from './sidecar.ts'
import type { SidecarOptions } from './sidecar.ts'

/**
 * Obtains a token of Azure Attestation whose claim `x-ms-runtime` is `runtimeData`: JSON, as bytes.
 *
 * @throws {RemoteError}
 */
export type MaaTokens = (runtimeData: Uint8Array, signal?: AbortSignal) => Promise<string>

export function azureMaa (tokens: MaaTokens): Attester {
  return {
    type: 'azure-maa',
    async evidence ({ binding, signal }) {
      const token = await tokens(new TextEncoder().encode(maaRuntimeData(binding)), signal)
      const { claims, expiresAt } = readToken(token, 'Azure Attestation')
      // A confidential virtual machine's token has another form, which policies know by another name.
      const tee = claims['x-ms-attestation-type'] === 'azurevm' ? 'azure-cvm' : 'azure-maa'
      return { tee, evidence: [[MEDIA_TYPES.jwt, token]], endorsements: [], expiresAt }
    }
  }
}

export interface MaaSidecarOptions extends SidecarOptions {
  /** The attestation provider: a host such as sharedneu.neu.attest.azure.net, or its URL. */
  readonly maaEndpoint: string
}

/** Tokens that the secure key release sidecar obtains. */
export function maaSidecar ({ maaEndpoint, ...sidecar }: MaaSidecarOptions): MaaTokens {
  return (runtimeData, signal) => attestMaa(sidecar, maaEndpoint, runtimeData, signal)
}
