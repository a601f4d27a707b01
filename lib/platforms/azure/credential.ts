/** How the proxy identifies itself towards Azure: one way, chosen by a setting, instead of a chain that tries many. */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import {
  AzureCliCredential, EnvironmentCredential, ManagedIdentityCredential, WorkloadIdentityCredential
} from '@azure/identity'
import type { TokenCredential } from '@azure/identity'

/** `azure-cli` is for development. */
export type AzureCredentialKind = 'managed-identity' | 'workload-identity' | 'environment' | 'azure-cli'

/**
 * The identity endpoint is this machine's (link-local or loopback), and most speak plain HTTP. A forward proxy, which
 * HTTP_PROXY and the like name for the world outside, must not see its tokens: the client leaves an agent that it is
 * given as it is. It is the one way to tell it: policies of ours are replaced by its own.
 */
function direct (): { readonly agent: HttpAgent } {
  const { IDENTITY_ENDPOINT = '', MSI_ENDPOINT = '' } = process.env
  return { agent: (IDENTITY_ENDPOINT || MSI_ENDPOINT).startsWith('https:') ? new HttpsAgent() : new HttpAgent() }
}

/** `clientId` names a user-assigned identity; without it, a managed identity is the system-assigned one. */
export function createAzureCredential (kind: AzureCredentialKind, clientId?: string): TokenCredential {
  const identity = clientId ? { clientId } : {}
  switch (kind) {
    // Retrying is the business of the key provider; a long one here would only hide the reason.
    case 'managed-identity': return new ManagedIdentityCredential(
      { ...identity, ...direct(), retryOptions: { maxRetries: 1 } }
    )
    case 'workload-identity': return new WorkloadIdentityCredential(identity)
    case 'environment': return new EnvironmentCredential()
    case 'azure-cli': return new AzureCliCredential()
  }
}
