/**
 * Every setting of the proxy, in one table: its environment variable, what it accepts, its default, what it does.
 * Types, validation (lib/config/config.ts) and docs/configuration.md are made from it. The settings are in
 * lib/config/settings/, except those of one platform, of TLS and of tunnels, which
 * are in their folders.
 */
import { tls } from '../tls/settings.ts'
import { platforms } from '../platforms/registry.ts'
import type { Registry } from '../platforms/registry.ts'
import { attestation } from './settings/attestation.ts'
import { ehbp } from './settings/ehbp.ts'
import { encryption } from './settings/encryption.ts'
import { keys } from './settings/keys.ts'
import { observation } from './settings/observation.ts'
import { ohttp } from './settings/ohttp.ts'
import { polarisV1 } from './settings/polaris-v1.ts'
import { server } from './settings/server.ts'
import type { SettingsTable, Values } from './settings/setting.ts'
import { websocket } from '../tunnel/settings.ts'
import { workload } from './settings/workload.ts'

export { formats, parseDuration } from './settings/formats.ts'
export { accepts } from './settings/setting.ts'
export type { Setting, SettingsTable } from './settings/setting.ts'

/** The settings that are no platform's, by their headings in docs/configuration.md. */
const common = {
  Workload: workload,
  Encryption: encryption,
  OHTTP: ohttp,
  EHBP: ehbp,
  'Polaris v1': polarisV1,
  Keys: keys,
  Attestation: attestation,
  Server: server,
  TLS: tls,
  WebSocket: websocket,
  Observation: observation
} as const satisfies Record<string, SettingsTable>

/** All settings, by their headings in docs/configuration.md. */
export const groups: Readonly<Record<string, SettingsTable>> = {
  ...common,
  ...Object.fromEntries(platforms.map(({ title, settings }) => [title, settings]))
}

type SettingsOf<P extends readonly { readonly settings: SettingsTable }[]> =
  P extends readonly [
    infer First extends { settings: SettingsTable }, ...infer Rest extends { settings: SettingsTable }[]
  ]
    ? First['settings'] & SettingsOf<Rest>
    : unknown

export const settings = {
  ...workload,
  ...encryption,
  ...ohttp,
  ...ehbp,
  ...polarisV1,
  ...keys,
  ...attestation,
  ...server,
  ...tls,
  ...websocket,
  ...observation,
  ...Object.assign({}, ...platforms.map(platform => platform.settings)) as SettingsOf<typeof platforms>
}

/** The settings with those of other platforms, and their types of keys and evidence among the accepted ones. */
export function tableOf ({ platforms, keyTypes, attesterTypes }: Registry): SettingsTable {
  const table: SettingsTable = Object.assign({}, settings, ...platforms.map(platform => platform.settings))
  return {
    ...table,
    keyType: { ...settings.keyType, enum: keyTypes.map(({ name }) => name) },
    attestationType: { ...settings.attestationType, enum: ['auto', ...attesterTypes.map(({ name }) => name)] }
  }
}

export type Settings = typeof settings
export type SettingName = keyof Settings

/** The validated settings; durations in milliseconds. */
export type Config = Values<Settings>

/** Settings as they may be given in code: durations as text ('30s') or milliseconds. */
export type ConfigInput = { readonly [K in SettingName]?: Config[K] | string | undefined }
