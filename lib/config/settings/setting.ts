/** What a setting is: one entry of a table that types, validation and docs/configuration.md are made from. */
import { formats } from './formats.ts'

export const PREFIX = 'POLARIS_CONTAINER_'

export interface Setting {
  /** Name of the environment variable. */
  readonly env: string
  /** Other names that are read when `env` is absent. */
  readonly aliases?: readonly string[]
  readonly type: 'string' | 'integer' | 'boolean'
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly format?: keyof typeof formats
  readonly default?: string | number | boolean
  readonly required?: true
  /** Says what is accepted; without it, the other fields do. */
  readonly accepts?: string
  /**
   * Which part of the attestation document shows a client its effect, so that a policy can pin it; left out, none does.
   * docs/attestation-settings.md is made from it.
   */
  readonly shownBy?: 'weakenings' | 'keys' | 'evidence'
  /** It names files, whose content no platform measures. */
  readonly isFile?: true
  readonly description: string
}

/** Formats whose values are durations. */
export const DURATION_FORMATS = ['duration', 'milliseconds', 'replay-window', 'tls-rotation'] as const
type DurationFormat = typeof DURATION_FORMATS[number]

/** Settings by their names in code. */
export type SettingsTable = Readonly<Record<string, Setting>>

type Scalar<S extends Setting> =
  Setting extends S ? string | number | boolean
    : S extends { enum: readonly (infer E)[] } ? E
      : S extends { type: 'boolean' } ? boolean
        : S extends { type: 'integer' } | { format: DurationFormat } ? number
          : S extends { format: 'port' } ? number | 'off'
            : string

/** The validated values of a table; durations in milliseconds. */
export type Values<T extends SettingsTable> = {
  readonly [K in keyof T]: Scalar<T[K]> | (T[K] extends { default: unknown } | { required: true } ? never : undefined)
}

/** What a setting accepts, in words. */
export function accepts (setting: Setting): string {
  if (setting.accepts !== undefined) return setting.accepts
  if (setting.enum !== undefined) return setting.enum.map(value => `\`${value}\``).join(', ')
  if (setting.type === 'boolean') return '`true`, `false`'
  if (setting.type === 'integer') return `an integer from ${setting.minimum ?? 0} to ${setting.maximum ?? 2 ** 53 - 1}`
  if (setting.format !== undefined) return formats[setting.format].accepts
  return 'text'
}
