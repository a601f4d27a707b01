/** How the proxy identifies itself towards Azure: one way, chosen by a setting, instead of a chain that tries many. */
import { AzureCliCredential, EnvironmentCredential, ManagedIdentityCredential, WorkloadIdentityCredential } from '@azure/identity'
import type { TokenCredential } from '@azure/identity'

/** `azure-cli` is for development. */
export type AzureCredentialKind = 'managed-identity' | 'workload-identity' | 'environment' | 'azure-cli'

/** `clientId` names a user-assigned identity; without it, a managed identity is the system-assigned one. */
export function createAzureCredential (kind: AzureCredentialKind, clientId?: string): TokenCredential {
  const identity = clientId ? { clientId } : {}
  switch (kind) {
    // Retrying is the business of whoever asks for keys; a long one here would only hide the reason.
    case 'managed-identity': return new ManagedIdentityCredential({ ...identity, retryOptions: { maxRetries: 1 } })
    case 'workload-identity': return new WorkloadIdentityCredential(identity)
    case 'environment': return new EnvironmentCredential()
    case 'azure-cli': return new AzureCliCredential()
  }
}
