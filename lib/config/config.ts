/** Reads the settings of lib/config/settings.ts from an environment, or from code, and checks them all at once. */
import { envSchema } from 'env-schema'
import { builtIn } from '../platforms/registry.ts'
import type { Registry } from '../platforms/registry.ts'
import { withoutTrailingSlashes } from '../protocols/trailing-slashes.ts'
import { contradictions } from './rules.ts'
import { formats, parseDuration } from './settings/formats.ts'
import type { Format } from './settings/formats.ts'
import { accepts, DURATION_FORMATS } from './settings/setting.ts'
import type { Setting, SettingsTable } from './settings/setting.ts'
import { tableOf } from './settings.ts'
import type { Config, ConfigInput } from './settings.ts'
import { unknownVariables } from './unknown.ts'

export type { Config, ConfigInput } from './settings.ts'

/** The proxy cannot start as it is configured. The message lists every problem, and no value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'ERR_CONFIG'
  readonly problems: readonly string[]

  constructor (problems: readonly string[], options?: ErrorOptions) {
    super(['The configuration cannot be used:', ...problems.map(problem => `  - ${problem}`)].join('\n'), options)
    this.problems = problems
  }
}

/** The fields of a setting that are JSON schema. */
const KEYWORDS = new Set(['type', 'enum', 'minimum', 'maximum', 'format', 'default'])

/** Those of the formats, as JSON schema's validators take them. */
const TESTS = Object.fromEntries(Object.entries(formats).map(([name, { test }]) => [name, test]))

/** A value that was given, and the variable that it was given with: the setting's own, or an alias. */
interface Given {
  readonly variable: string
  readonly text: string
}

/**
 * The settings from environment variables. White space around values does not count.
 *
 * @throws {ConfigError} listing every problem at once
 */
export function loadConfig (
  env: Readonly<Record<string, string | undefined>>, registry: Registry = builtIn
): Config {
  const table = tableOf(registry)
  const given = new Map<Setting, Given>()
  for (const setting of Object.values(table)) {
    for (const variable of [setting.env, ...setting.aliases ?? []]) {
      // A variable set to nothing counts as not set: compose files and templates write it so.
      const text = env[variable]?.trim() ?? ''
      if (text !== '' && !given.has(setting)) given.set(setting, { variable, text })
    }
  }
  const textOf = (name: string) => given.get(table[name]!)?.text ?? String(table[name]?.default ?? '')
  const { values, problems } = validate(table, given)
  // Some would be accepted, and taken for something else than is meant.
  for (const { variable, text } of given.values()) {
    if (QUOTED.test(text)) problems.push(`${variable} is in quotes, which are part of its value here: remove them`)
  }
  problems.push(...contradictions(textOf, table, registry))
  // A misspelt name may be why another is missing.
  if (problems.length > 0) throw new ConfigError([...problems, ...unknownVariables(env, table)])
  return finished(table, values)
}

/** What was checked need not be checked again. */
const loaded = new WeakSet<object>()

/** The settings from code, under their names in lib/config/settings.ts; the environment is not read. */
export function configFrom (input: ConfigInput | Config, registry: Registry = builtIn): Config {
  if (loaded.has(input)) return input as Config
  const table = tableOf(registry)
  const unknown = Object.keys(input).filter(name => !(name in table))
  if (unknown.length > 0) throw new ConfigError(unknown.map(name => `${name}: no such setting`))
  return loadConfig(Object.fromEntries(Object.entries<unknown>(input).map(([name, value]) => {
    const isMilliseconds = typeof value === 'number' && isDuration(table[name]!)
    return [table[name]!.env, value === undefined ? undefined : `${String(value)}${isMilliseconds ? 'ms' : ''}`]
  })), registry)
}

function finished (table: SettingsTable, values: Record<string, unknown>): Config {
  const config = Object.fromEntries(Object.entries(table).map(([name, setting]) => {
    const value = values[setting.env]
    return [name, isDuration(setting) && value !== undefined ? parseDuration(String(value)) : value]
  })) as unknown as Config
  const checked = Object.freeze({
    ...config,
    contextRoot: withoutTrailingSlashes(config.contextRoot).replace(/^(?=[^/])/, '/'),
    port: String(config.port) === 'off' ? 'off' as const : Number(config.port),
    ...config.host !== undefined && { host: config.host.replace(/^\[(.*)\]$/, '$1') },
    urlHeader: config.urlHeader.toLowerCase(),
    secureHeader: config.secureHeader.toLowerCase(),
    responsePublicKeyHeader: config.responsePublicKeyHeader.toLowerCase()
  })
  loaded.add(checked)
  return checked
}

function isDuration ({ format }: Setting): boolean {
  return DURATION_FORMATS.some(name => name === format)
}

interface SchemaError {
  instancePath: string
  keyword: string
  params: Record<string, unknown>
}

function validate (
  table: SettingsTable, given: ReadonlyMap<Setting, Given>
): { values: Record<string, unknown>, problems: string[] } {
  const entries = Object.values(table)
  const data = Object.fromEntries([...given].map(([{ env, type }, { text }]) =>
    // Ajv would also take 0x10, 1e3 and Infinity for integers.
    [env, type === 'integer' && !/^\d+$/.test(text) ? 'not an integer' : text]))
  try {
    const values: Record<string, unknown> = envSchema({
      schema: {
        type: 'object',
        required: entries.filter(({ required }) => required).map(({ env }) => env),
        properties: Object.fromEntries(entries.map(({ env, ...setting }) =>
          [env, Object.fromEntries(Object.entries(setting).filter(([keyword]) => KEYWORDS.has(keyword)))]))
      },
      data,
      env: false,
      // Our schema is a constant, of standard keywords: to compile the meta-schemas that would check it at each start
      // takes longer than all the rest. (Options instead of a function: the types leave them out.)
      ajv: { customOptions: { formats: TESTS, keywords: [], meta: false, validateSchema: false } as never }
    })
    return { values, problems: [] }
  } catch (error) {
    const { errors } = error as { errors?: SchemaError[] }
    if (!Array.isArray(errors)) throw error
    const quoted = new Set([...given].filter(([, { text }]) => QUOTED.test(text)).map(([{ env }]) => `/${env}`))
    const relevant = errors.filter(({ instancePath }) => !quoted.has(instancePath))
    return { values: {}, problems: [...new Set(relevant.map(error => describe(error, entries, given)))] }
  }
}

const QUOTED = /^(["'])[^]*\1$/

function describe (
  { instancePath, keyword, params }: SchemaError, entries: readonly Setting[], given: ReadonlyMap<Setting, Given>
): string {
  const name = keyword === 'required' ? String(params['missingProperty']) : instancePath.slice(1)
  const setting = entries.find(({ env }) => env === name)
  if (setting === undefined) return `${name} is not accepted`
  const accepted = `accepted: ${accepts(setting).replaceAll('`', '')}`
  const { variable, text } = given.get(setting) ?? { variable: name, text: '' }
  if (keyword === 'required') return `${name} is required but not set; ${accepted}`
  return `${variable} has a value that is not accepted${reason(setting, text)}; ${accepted}`
}

/** Why, if it is more than that the value is none of those accepted. Never quotes the value. */
function reason (setting: Setting, text: string): string {
  if (setting.enum?.includes(text.toLowerCase()) || (setting.type === 'boolean' && /^(true|false)$/i.test(text))) {
    return ': it must be in lower case'
  }
  const format: Format | undefined = setting.format && formats[setting.format]
  const why = format?.why?.(text)
  return why === undefined ? '' : `: ${why}`
}
