/** polaris.attestation: evidence about the keys and the platform, and the gate that it keeps open. */
import { readFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import { AttesterError } from '../lib/attestation/attester.ts'
import type { Attester } from '../lib/attestation/attester.ts'
import { createAttester } from '../lib/platforms/attesters.ts'
import { createAttestationService } from '../lib/attestation/service.ts'
import type { AttestationService } from '../lib/attestation/service.ts'
import { Problem } from '../lib/http/problems.ts'
import { provide } from '../lib/polaris.ts'
import type { AttestedKey } from '../lib/protocols/attestation.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly attestation: Attestation
  }
}

export interface Attestation extends Pick<AttestationService, 'type' | 'document' | 'status'> {
  /**
   * Lets an exchange with the workload begin.
   *
   * @throws {Problem} not-attested
   */
  admit (response: ServerResponse): void
}

export interface AttestationPluginOptions {
  /** An attester of your own, in place of the one that the settings name. */
  attester?: Attester
}

export default fp<AttestationPluginOptions>(async function attestation (app, options) {
  const { config, exchanges, readiness } = app.polaris
  const attester = options.attester ?? await createAttester({
    type: config.attestationType,
    audience: config.attestationAudience,
    azureSidecar: config.attestationAzureSidecar,
    maaEndpoint: config.attestationMaaEndpoint,
    certificatesFile: config.attestationCertificatesFile,
    azureSecurityContext: process.env['UVM_SECURITY_CONTEXT_DIR']
  })
  if (attester.type === 'simulated') {
    if (process.env['NODE_ENV'] === 'production' && !config.attestationAllowSimulated) {
      throw new Error('Simulated attestation is not for production. To insist, set POLARIS_CONTAINER_ATTESTATION_ALLOW_SIMULATED=true')
    }
    app.log.warn('Attestation is simulated: it proves nothing')
  }
  if (attester.type === 'none' && config.attestationRequired) {
    throw new Error('POLARIS_CONTAINER_ATTESTATION_REQUIRED is set, and this machine has nothing to attest with')
  }

  const appraise = config.attestationPolicyFile === undefined ? undefined : await ownPolicy(config.attestationPolicyFile)
  const service = createAttestationService({
    attester,
    keys: coveredKeys,
    required: config.attestationRequired || appraise !== undefined,
    grace: config.attestationGrace,
    renewal: config.attestationRenewal,
    cache: config.attestationCache,
    ...appraise && { appraise },
    log: app.log
  })

  for (const resource of exchanges.keyResources) resource.onChange(() => { service.refresh() })

  const inFlight = new Set<ServerResponse>()
  const endsExchanges = config.attestationOnClose === 'end'
  if (endsExchanges) service.onClose(() => { for (const response of inFlight) response.destroy() })
  readiness.add('attestation', () => {
    const { open, reason } = service.status()
    return open ? undefined : reason
  })
  app.addHook('onClose', async () => service.close())

  provide(app.polaris, 'attestation', {
    type: service.type,
    document: nonce => service.document(nonce),
    status: () => service.status(),
    admit (response) {
      if (!service.status().open) throw new Problem('not-attested')
      // It may have closed before this, and does so once only.
      if (!endsExchanges || response.destroyed) return
      inFlight.add(response)
      response.once('close', () => inFlight.delete(response))
    }
  })

  /** As published at this moment, the one to encrypt to first. */
  function coveredKeys (): readonly AttestedKey[] {
    return exchanges.keyResources.flatMap(resource => resource.attested())
  }
}, { name: 'polaris-attestation', dependencies: ['polaris-config', 'polaris-exchanges'] })

/** What the proxy would refuse to trust as a client, it does not serve. */
async function ownPolicy (file: string): Promise<Parameters<typeof createAttestationService>[0]['appraise'] & {}> {
  // Verifying takes parsers that nothing else here needs, and loading them takes longer than all the rest of a start.
  const { AttestationFetchError, parseAttestationPolicy, verifyAttestation } = await import('../sdk/attestation/index.ts')
  const policy = parseAttestationPolicy(await readFile(file, 'utf8'))
  return async (document, nonce) => {
    const { checks } = await verifyAttestation(JSON.stringify(document), policy, { nonce }).catch((cause: unknown) => {
      // That an issuer is out of reach is no verdict: what was obtained before stays good for its time.
      throw cause instanceof AttestationFetchError ? new AttesterError(`The evidence cannot be appraised: ${cause.message}`, { cause, transient: true }) : cause
    })
    return checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
  }
}
