/** What a configuration protects and what it does not, for the log at start. */
import type { KeyType } from '../platforms/platform.ts'
import { builtIn } from '../platforms/registry.ts'
import type { Registry } from '../platforms/registry.ts'
import type { Config } from './config.ts'
import { settings } from './settings.ts'

/** Which protections a configuration has on, for one log line at start. */
export function protections (config: Config): Record<string, unknown> {
  const overTls = config.workloadBaseUrl.startsWith('https:')
  return {
    input: config.enableInputEncryption ? 'encryption required' : 'plaintext accepted',
    output: config.enableOutputEncryption ? 'always sealed' : 'sealed where the protocol does',
    v1: config.enableV1,
    keys: config.keyType,
    workloadTls: overTls ? (config.workloadTlsVerify ? 'verified' : 'not verified') : 'none'
  }
}

/** A sentence for each setting in force that an auditor would object to. */
export function weaknesses (config: Config, { keyTypes }: Registry = builtIn): string[] {
  const { enableInputEncryption: input, enableOutputEncryption: output } = settings
  const found: string[] = []
  if (!config.enableInputEncryption) found.push(`Plaintext requests are accepted (${input.env}=false)`)
  if (config.enableOutputEncryption && !config.enableInputEncryption) {
    found.push(`Responses are sealed to keys that no one authenticated (${output.env} without ${input.env})`)
  }
  const keyType = keyTypes.find(({ name }) => name === config.keyType)
  const weakness = keyType?.weakness?.(config)
  if (weakness !== undefined) found.push(weakness)
  if (config.hpkeSeed === 'sealed' && config.hpkeSeedFileSha256 === undefined) {
    found.push(`Anyone who can write the seed file can choose the HPKE keys (${settings.hpkeSeed.env}=sealed)`)
  }
  if (config.enableV1 && config.enableInputEncryption) {
    found.push(...v1Weaknesses(config, keyType === undefined || isAlone(keyType)))
  }
  if (config.v1AllowUnboundResponseKey) {
    found.push(`Unbound response keys are accepted (${settings.v1AllowUnboundResponseKey.env}=true)`)
  }
  if (config.workloadBaseUrl.startsWith('https:') && !config.workloadTlsVerify) {
    found.push(`The workload's certificate is not verified (${settings.workloadTlsVerify.env}=false)`)
  }
  return found
}

/** Whether the key is one of this process alone, which ends with it: there is nothing to share with other instances. */
function isAlone ({ seeds }: KeyType): boolean {
  return seeds.length === 0
}

function v1Weaknesses ({ v1ReplayProtection, v1ReplayWindow, replayStore }: Config, keyIsAlone: boolean): string[] {
  const again = 'Recorded v1 requests can be sent again'
  if (!v1ReplayProtection) return [`${again}, and decrypted that way (${settings.v1ReplayProtection.env}=false)`]
  if (keyIsAlone) return []
  const until = `${v1ReplayWindow / 1000} s${replayStore === 'memory' ? ' and at every restart' : ''}`
  return [`${again} after ${until}, and decrypted that way: the key lives longer (${settings.v1ReplayWindow.env})`]
}
