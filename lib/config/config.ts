/** Reads the settings of lib/config/settings.ts from an environment, or from code, and checks them all at once. */
import { BlockList, isIP } from 'node:net'
import { envSchema } from 'env-schema'
import { withoutTrailingSlashes } from '../protocols/trailing-slashes.ts'
import { accepts, formats, parseDuration, settings } from './settings.ts'
import type { Config, ConfigInput, Setting, SettingName } from './settings.ts'

export type { Config, ConfigInput } from './settings.ts'

const PREFIX = 'POLARIS_CONTAINER_'
const entries = Object.entries(settings) as [SettingName, Setting][]
const names = new Set(entries.flatMap(([, setting]) => [setting.env, ...setting.aliases ?? []]))

/** The configuration cannot be used. The message lists every problem, and no value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'ERR_CONFIG'
  readonly problems: readonly string[]

  constructor (problems: readonly string[]) {
    super(['The configuration cannot be used:', ...problems.map(problem => `  - ${problem}`)].join('\n'))
    this.problems = problems
  }
}

/** The fields of a setting that are JSON schema. */
const KEYWORDS = new Set(['type', 'enum', 'minimum', 'maximum', 'format', 'default'])

const schema = {
  type: 'object',
  required: entries.filter(([, setting]) => setting.required).map(([, setting]) => setting.env),
  properties: Object.fromEntries(entries.map(([, { env, ...setting }]) =>
    [env, Object.fromEntries(Object.entries(setting).filter(([keyword]) => KEYWORDS.has(keyword)))]))
}

/**
 * The settings from environment variables.
 *
 * @throws {ConfigError} listing every problem at once
 */
export function loadConfig (env: Readonly<Record<string, string | undefined>>): Config {
  const data: Record<string, string> = {}
  for (const [, setting] of entries) {
    const { env: name, aliases = [] } = setting
    // A variable set to nothing counts as not set: compose files and templates write it so.
    const given = [name, ...aliases].find(candidate => (env[candidate] ?? '').trim() !== '')
    if (given === undefined) continue
    const text = env[given] as string
    // Ajv would also take 0x10, 1e3 and Infinity for integers.
    data[name] = setting.type === 'integer' && !/^\d+$/.test(text) ? 'no integer' : text
  }

  const problems = contradictions(setting => data[setting.env] ?? String(setting.default ?? ''))
  const values = validate(data, problems, () => unknownVariables(env))
  const config = Object.fromEntries(entries.map(([name, setting]) => {
    const value = values[setting.env]
    return [name, setting.format === 'duration' && value !== undefined ? parseDuration(String(value)) : value]
  })) as unknown as Config

  const checked = Object.freeze({
    ...config,
    contextRoot: withoutTrailingSlashes(config.contextRoot).replace(/^(?=[^/])/, '/'),
    urlHeader: config.urlHeader.toLowerCase(),
    secureHeader: config.secureHeader.toLowerCase(),
    responsePublicKeyHeader: config.responsePublicKeyHeader.toLowerCase()
  })
  loaded.add(checked)
  return checked
}

/** What was checked need not be checked again. */
const loaded = new WeakSet<object>()

/** The settings from code, under their names in lib/config/settings.ts; the environment is not read. */
export function configFrom (input: ConfigInput | Config): Config {
  if (loaded.has(input)) return input as Config
  const unknown = Object.keys(input).filter(name => !(name in settings))
  if (unknown.length > 0) throw new ConfigError(unknown.map(name => `${name}: there is no such setting`))
  return loadConfig(Object.fromEntries(entries.map(([name, setting]) =>
    [setting.env, input[name] === undefined ? undefined : String(input[name])])))
}

interface SchemaError {
  instancePath: string
  keyword: string
  params: Record<string, unknown>
}

/**
 * @param contradictions told together with what the schema finds
 * @param hints told only where something is wrong: a misspelt name may be why another is missing
 */
function validate (data: Record<string, string>, contradictions: readonly string[], hints: () => readonly string[]): Record<string, unknown> {
  let values: Record<string, unknown>
  try {
    values = envSchema({
      schema,
      data,
      env: false,
      ajv: {
        customOptions (ajv) {
          for (const [name, { test }] of Object.entries(formats)) ajv.addFormat(name, test)
          // Our schema is a constant; checking it against the meta-schema at every start takes longer than all the rest.
          ajv.opts.validateSchema = false
          return ajv
        }
      }
    })
  } catch (error) {
    const { errors } = error as { errors?: SchemaError[] }
    if (!Array.isArray(errors)) throw error
    throw new ConfigError([...new Set(errors.map(describe)), ...contradictions, ...hints()])
  }
  if (contradictions.length > 0) throw new ConfigError([...contradictions, ...hints()])
  return values
}

function describe ({ instancePath, keyword, params }: SchemaError): string {
  const name = keyword === 'required' ? String(params['missingProperty']) : instancePath.slice(1)
  const setting = entries.find(([, { env }]) => env === name)?.[1]
  const wrong = keyword === 'required' ? 'is required but not set' : 'has a value that is not accepted'
  return setting === undefined ? `${name} ${wrong}` : `${name} ${wrong}; accepted: ${accepts(setting).replaceAll('`', '')}`
}

/** Settings that are fine each but not together. Looks at text, so that it works beside values that are not accepted. */
function contradictions (text: (setting: Setting) => string): string[] {
  const problems: string[] = []
  const { urlHeader, secureHeader, responsePublicKeyHeader, maxBodyBytes, maxBufferedBytes } = settings
  const headers = [urlHeader, secureHeader, responsePublicKeyHeader]
  if (new Set(headers.map(setting => text(setting).toLowerCase())).size < headers.length) {
    problems.push(`${urlHeader.env}, ${secureHeader.env} and ${responsePublicKeyHeader.env} must name three different headers`)
  }
  if (Number(text(maxBufferedBytes)) < Number(text(maxBodyBytes))) {
    problems.push(`${maxBufferedBytes.env} must not be smaller than ${maxBodyBytes.env}`)
  }
  return [...problems, ...keyProblems(text), ...ohttpProblems(text)]
}

/** Requests without a Date are remembered for as long as their key lives, which has to end, and their memory must not end before. */
function ohttpProblems (text: (setting: Setting) => string): string[] {
  const { ohttpDate, hpkeRotation, hpkeSeed, replayStore } = settings
  if (text(ohttpDate) !== 'optional') return []
  const problems: string[] = []
  if (parseDuration(text(hpkeRotation)) === 0) {
    problems.push(`${ohttpDate.env} cannot be optional if ${hpkeRotation.env} is 0: requests would have to be remembered for ever`)
  }
  if (text(hpkeSeed) !== 'instance' && text(replayStore) === 'memory') {
    problems.push(`${ohttpDate.env} can only be optional with a shared ${replayStore.env} if ${hpkeSeed.env} is ${text(hpkeSeed)}: the keys outlive the memory of this process`)
  }
  return problems
}

/** What each key type cannot do without. */
const neededBy: Readonly<Record<string, readonly Setting[]>> = {
  file: [settings.keyFile],
  'azure-skr': [settings.azureMaaEndpoint, settings.azureAkvEndpoint, settings.azureKid],
  'azure-key-vault': [settings.azureVaultUrl, settings.azureVaultKey],
  'google-federated': [settings.googleProject, settings.googleLocation, settings.googleKeyRing, settings.googleKey, settings.googleAudience]
}

/** With two KEMs, the active and the pending epoch included, well below 256 keys. */
const MAX_RETIRING_EPOCHS = 100

function keyProblems (text: (setting: Setting) => string): string[] {
  const { keyType, azureVaultMode, azureMaaEndpoint, hpkeSeed, hpkeSeedFile, hpkeRotation, hpkeRetirement } = settings
  const type = text(keyType)
  const seed = text(hpkeSeed)
  const releases = type === 'azure-key-vault' && text(azureVaultMode) === 'release'
  const missing = (needed: readonly Setting[], why: string) => needed
    .filter(setting => text(setting).replaceAll(/[\s,]/g, '') === '')
    .map(({ env }) => `${env} is required where ${why}`)

  const problems = missing(neededBy[type] ?? [], `${keyType.env} is ${type}`)
  if (releases) problems.push(...missing([azureMaaEndpoint], `${azureVaultMode.env} is release`))
  if (seed === 'sealed') problems.push(...missing([hpkeSeedFile], `${hpkeSeed.env} is sealed`))
  if (seed !== 'instance' && type === 'ephemeral') {
    problems.push(`${hpkeSeed.env} can only be instance where ${keyType.env} is ephemeral: no other instance has that key`)
  }
  if (seed === 'derived' && (type === 'google-federated' || (type === 'azure-key-vault' && !releases))) {
    problems.push(`${hpkeSeed.env} cannot be derived where the private key is not in memory; sealed can`)
  }
  const rotation = parseDuration(text(hpkeRotation))
  // Key ids have one octet, and those of replicas follow the epoch: of keys that live at one time, each must have its own.
  if (seed !== 'instance' && rotation > 0 && parseDuration(text(hpkeRetirement)) / rotation > MAX_RETIRING_EPOCHS) {
    problems.push(`${hpkeRetirement.env} must not be longer than ${MAX_RETIRING_EPOCHS} times ${hpkeRotation.env}`)
  }
  return problems
}

/** Tells of an address whether it belongs to a proxy that TRUST_PROXY believes. */
export function trustedProxies (trustProxy: string): (address: string | undefined) => boolean {
  if (trustProxy === 'true') return () => true
  if (trustProxy === 'false') return () => false
  const list = new BlockList()
  for (const entry of trustProxy.split(',')) {
    const [address = '', bits] = entry.trim().split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return address => address !== undefined && isIP(address) !== 0 && list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

/** A warning for each POLARIS_CONTAINER_* variable that no setting reads, naming the nearest one that exists. */
export function unknownVariables (env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(env)
    .filter(name => name.startsWith(PREFIX) && !names.has(name))
    .map(name => {
      const [nearest] = [...names].sort((a, b) => distance(bare(name), bare(a)) - distance(bare(name), bare(b)))
      return `${name} is not a setting; did you mean ${nearest}?`
    })
}

/** Two settings have no prefix, which is soon forgotten. */
function bare (name: string): string {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name
}

/** Levenshtein distance. */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]!
}

/** Which protections a configuration has on, for one log line at start. */
export function protections (config: Config): Record<string, unknown> {
  return {
    input: config.enableInputEncryption ? 'encryption required' : 'plaintext accepted',
    output: config.enableOutputEncryption ? 'always sealed' : 'sealed where the protocol does',
    v1: config.enableV1,
    keys: config.keyType,
    workloadTls: config.workloadBaseUrl.startsWith('https:') ? (config.workloadTlsVerify ? 'verified' : 'not verified') : 'none'
  }
}

/** A sentence for each setting in force that an auditor would object to. */
export function weaknesses (config: Config): string[] {
  const found: string[] = []
  if (!config.enableInputEncryption) found.push(`Plaintext requests are accepted (${settings.enableInputEncryption.env}=false)`)
  if (config.enableOutputEncryption && !config.enableInputEncryption) {
    found.push(`Responses are sealed to keys that no one authenticated (${settings.enableOutputEncryption.env} without ${settings.enableInputEncryption.env})`)
  }
  if (config.keyType === 'azure-key-vault' && config.azureVaultMode === 'remote') {
    found.push(`The key is protected by access control alone, not by attestation (${settings.azureVaultMode.env}=remote)`)
  }
  if (config.hpkeSeed === 'sealed' && config.hpkeSeedFileSha256 === undefined) found.push(`Whoever can write the seed file can choose the HPKE keys (${settings.hpkeSeed.env}=sealed)`)
  if (config.enableV1 && config.enableInputEncryption) found.push(...v1Weaknesses(config))
  if (config.v1AllowUnboundResponseKey) found.push(`Unbound response keys are accepted (${settings.v1AllowUnboundResponseKey.env}=true)`)
  if (config.workloadBaseUrl.startsWith('https:') && !config.workloadTlsVerify) {
    found.push(`The workload's certificate is not verified (${settings.workloadTlsVerify.env}=false)`)
  }
  return found
}

function v1Weaknesses ({ v1ReplayProtection, v1ReplayWindow, keyType, replayStore }: Config): string[] {
  if (!v1ReplayProtection) return [`Recorded v1 requests can be sent again, and decrypted that way (${settings.v1ReplayProtection.env}=false)`]
  if (keyType === 'ephemeral') return []
  const until = replayStore === 'memory' ? `${v1ReplayWindow / 1000} s and at every restart` : `${v1ReplayWindow / 1000} s`
  return [`Recorded v1 requests can be sent again after ${until}, and decrypted that way: the key lives longer (${settings.v1ReplayWindow.env})`]
}
