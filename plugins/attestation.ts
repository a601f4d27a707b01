/** polaris.attestation: evidence about the keys and the platform, and the gate that it keeps open. */
import type { ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import type { Attester } from '../lib/attestation/attester.ts'
import { deviceCollector } from '../lib/attestation/devices/index.ts'
import { EndorsementError, endorsementFiles } from '../lib/attestation/endorsements.ts'
import type { EndorsementFiles } from '../lib/attestation/endorsements.ts'
import { ConfigError } from '../lib/config/config.ts'
import type { Config } from '../lib/config/config.ts'
import { settings } from '../lib/config/settings.ts'
import { evidenceProblems } from '../lib/config/start.ts'
import { readText } from '../lib/config/text-file.ts'
import { weaknesses } from '../lib/config/weaknesses.ts'
import { attesterFrom } from '../lib/platforms/choose.ts'
import { listOf } from '../lib/platforms/platform.ts'
import { createAttestationService } from '../lib/attestation/service.ts'
import type { AttestationService } from '../lib/attestation/service.ts'
import { Problem } from '../lib/http/problems.ts'
import { meteredAttester } from '../lib/metrics/services.ts'
import { provide } from '../lib/polaris.ts'
import { RemoteError } from '../lib/remote/error.ts'
import { weakeningsClaim } from '../lib/protocols/attestation.ts'
import type { AttestedKey } from '../lib/protocols/attestation.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly attestation: Attestation
  }
}

export interface Attestation extends Pick<AttestationService, 'type' | 'document' | 'status' | 'covers'> {
  /**
   * Lets an exchange with the workload begin.
   *
   * @throws {Problem} not-attested
   */
  admit (response: ServerResponse): void
}

export interface AttestationPluginOptions {
  /** An attester of your own, in place of the one that the settings name. */
  readonly attester?: Attester
}

export default fp<AttestationPluginOptions>(async function attestation (app, options) {
  const { config, exchanges, metrics, platforms, readiness, tls } = app.polaris
  const problems = options.attester === undefined ? await evidenceProblems(config, platforms) : []
  if (problems.length > 0) throw new ConfigError(problems)
  const attester = options.attester ?? await attesterFrom(config, platforms)
  if (attester.type === 'simulated') app.log.warn('Attestation is simulated: it proves nothing')
  if (attester.type === 'none' && config.attestationDevices !== undefined) {
    app.log.warn('GPUs are attested, but nothing binds their evidence to this machine: it has no other evidence')
  }

  const appraise = config.attestationPolicyFile === undefined
    ? undefined
    : await ownPolicy(config.attestationPolicyFile)
  const endorsements = await ownEndorsements(config, reason => {
    app.log.warn({ reason }, 'endorsements cannot be read again; those read before stay in use')
  })
  const service = createAttestationService({
    attester: metrics.isOn ? meteredAttester(metrics.meter, attester) : attester,
    keys: coveredKeys,
    claims: [weakeningsClaim(weaknesses(config, platforms).map(({ code }) => code))],
    ...config.attestationDevices !== undefined && {
      devices: deviceCollector({
        source: config.attestationDevices,
        timeoutMs: config.attestationDevicesTimeout,
        count: config.attestationDevicesCount
      })
    },
    ...endorsements && { endorsements: endorsements.current },
    required: config.attestationRequired || appraise !== undefined,
    grace: config.attestationGrace,
    renewal: config.attestationRenewal,
    cache: config.attestationCache,
    ...appraise && { appraise },
    log: app.log
  })

  for (const resource of exchanges.keyResources) resource.onChange(() => { service.refresh() })
  tls?.onChange(() => { service.refresh() })

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
    covers: key => service.covers(key),
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
    return [...exchanges.keyResources.flatMap(resource => resource.attested()), ...tls?.attested() ?? []]
  }
}, {
  name: 'polaris-attestation',
  dependencies: ['polaris-config', 'polaris-metrics', 'polaris-exchanges', 'polaris-tls-keys']
})

/** @throws {ConfigError} a file cannot be read, or holds something else */
async function ownEndorsements (
  { attestationEndorsements }: Config, warn: (reason: string) => void
): Promise<EndorsementFiles | undefined> {
  const files = listOf(attestationEndorsements)
  try {
    return files.length === 0 ? undefined : await endorsementFiles(files, warn)
  } catch (cause) {
    if (!(cause instanceof EndorsementError)) throw cause
    throw new ConfigError([`${settings.attestationEndorsements.env}: ${cause.message}`], { cause })
  }
}

/** What the proxy would refuse to trust as a client, it does not serve. */
async function ownPolicy (file: string): Promise<Parameters<typeof createAttestationService>[0]['appraise'] & {}> {
  // Verifying takes parsers that nothing else here needs, and loading them takes longer than all the rest of a start.
  const {
    AttestationFetchError, parseAttestationPolicy, verifyAttestation
  } = await import('../sdk/attestation/index.ts')
  const policy = await policyOf(file, parseAttestationPolicy)
  if (policy.provenance !== undefined) {
    const why = 'it has provenance, which clients verify and the proxy cannot: pin digests or measurements in its place'
    throw new ConfigError([`${settings.attestationPolicyFile.env}: ${file}: ${why}`])
  }
  return async (document, nonce) => {
    const { checks } = await verifyAttestation(JSON.stringify(document), policy, { nonce }).catch((cause: unknown) => {
      // That an issuer is out of reach is no verdict: what was obtained before stays good for its time.
      if (!(cause instanceof AttestationFetchError)) throw cause
      throw new RemoteError('transient', `The evidence cannot be appraised: ${cause.message}`, {
        cause, providerCode: 'ISSUER', advice: 'Check the network on the way to the issuers of evidence'
      })
    })
    return checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
  }
}

/** @throws {ConfigError} it cannot be read, or is no policy */
async function policyOf<T> (file: string, parse: (json: string) => T): Promise<T> {
  try {
    return parse(await readText(file))
  } catch (cause) {
    const { message, code, syscall } = cause as NodeJS.ErrnoException
    const why = syscall === undefined ? message : `it cannot be read (${code})`
    throw new ConfigError([`${settings.attestationPolicyFile.env}: ${file}: ${why}`], { cause })
  }
}
