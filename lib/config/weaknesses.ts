/**
 * What a configuration protects and what it does not: for the log at start, and, by their codes, for the attestation
 * document, so that clients see in what was attested which protections the settings take back.
 */
import { isIP } from 'node:net'
import type { KeyType } from '../platforms/platform.ts'
import { builtIn } from '../platforms/registry.ts'
import type { Registry } from '../platforms/registry.ts'
import { workloadAddress } from '../workload/address.ts'
import type { Config } from './config.ts'
import { settings } from './settings.ts'

/** A setting in force that an auditor would object to. */
export interface Weakness {
  /**
   * Stable: policies list the ones that they accept (`acceptedWeakenings`). docs/attestation-policy.md explains each.
   */
  readonly code: string
  /** For operators, with the variable to change. Without its full stop. */
  readonly sentence: string
}

/** Which protections a configuration has on, for one log line at start. */
export function protections (config: Config): Record<string, unknown> {
  const overTls = config.workloadBaseUrl.startsWith('https:')
  return {
    input: config.enableInputEncryption ? 'encryption required' : 'plaintext accepted',
    output: config.enableOutputEncryption ? 'always sealed' : 'sealed if the protocol does',
    v1: config.enableV1,
    keys: config.keyType,
    workloadTls: overTls ? (config.workloadTlsVerify ? 'verified' : 'not verified') : 'none'
  }
}

/** In the order in which the log warns of them. */
export function weaknesses (config: Config, { keyTypes }: Registry = builtIn): Weakness[] {
  const { enableInputEncryption: input, enableOutputEncryption: output } = settings
  const found: Weakness[] = []
  const add = (code: string, sentence: string) => found.push({ code, sentence })
  if (!config.enableInputEncryption) add('plaintext-accepted', `Plaintext requests are accepted (${input.env}=false)`)
  if (config.enableOutputEncryption && !config.enableInputEncryption) {
    add(
      'responses-to-any-key',
      `Responses are sealed to keys that no one authenticated (${output.env} without ${input.env})`
    )
  }
  const keyType = keyTypes.find(({ name }) => name === config.keyType)
  const weakness = keyType?.weakness?.(config)
  if (weakness !== undefined) add(`key-type-${config.keyType}`, weakness)
  if (config.hpkeSeed === 'sealed' && config.hpkeSeedFileSha256 === undefined) {
    add(
      'seed-file-not-pinned',
      `Anyone who can write the seed file can choose the HPKE keys (${settings.hpkeSeed.env}=sealed)`
    )
  }
  if (config.enableV1 && config.enableInputEncryption) {
    const sentence = v1Weakness(config, keyType === undefined || isAlone(keyType))
    if (sentence !== undefined) add('v1-replay', sentence)
  }
  if (config.v1AllowUnboundResponseKey) {
    add(
      'v1-unbound-response-key', `Unbound response keys are accepted (${settings.v1AllowUnboundResponseKey.env}=true)`
    )
  }
  if (config.tls === 'files' && config.tlsFilesSuffice && config.enableInputEncryption) {
    add(
      'tls-key-from-files',
      `Requests count as encrypted over TLS whose key was outside of the TEE (${settings.tlsFilesSuffice.env}=true)`
    )
  }
  if (config.usage === 'on' || config.usage === 'true') {
    add('usage-reported', `Token counts of answers are reported outside of the encryption (${settings.usage.env})`)
  }
  found.push(...workloadWeaknesses(config))
  return found
}

function workloadWeaknesses ({ workloadBaseUrl, workloadTlsVerify }: Config): Weakness[] {
  const { url: { protocol, hostname }, isH2c } = workloadAddress(workloadBaseUrl)
  const scheme = isH2c ? 'h2c://' : 'http://'
  if (protocol === 'https:') {
    return workloadTlsVerify
      ? []
      : [{
          code: 'workload-not-verified',
          sentence: `The workload's certificate is not verified (${settings.workloadTlsVerify.env}=false)`
        }]
  }
  return isLoopback(hostname)
    ? []
    : [{
        code: 'workload-over-network',
        sentence: `Opened requests go to the workload's host unencrypted (${settings.workloadBaseUrl.env} is ${scheme})`
      }]
}

/** By its name alone: nothing is resolved, since a resolver could lie. */
function isLoopback (hostname: string): boolean {
  if (isIP(hostname) === 4) return hostname.startsWith('127.')
  return hostname === '[::1]' || hostname === 'localhost' || hostname.endsWith('.localhost')
}

/** Whether the key is one of this process alone, which ends with it: there is nothing to share with other instances. */
function isAlone ({ seeds }: KeyType): boolean {
  return seeds.length === 0
}

function v1Weakness (
  { v1ReplayProtection, v1ReplayWindow, replayStore }: Config, keyIsAlone: boolean
): string | undefined {
  const again = 'Recorded v1 requests can be sent again'
  if (!v1ReplayProtection) return `${again}, and decrypted that way (${settings.v1ReplayProtection.env}=false)`
  if (keyIsAlone) return undefined
  const until = `${v1ReplayWindow / 1000} s${replayStore === 'memory' ? ' and at every restart' : ''}`
  return `${again} after ${until}, and decrypted that way: the key lives longer (${settings.v1ReplayWindow.env})`
}
