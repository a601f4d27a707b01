/**
 * Every setting of the proxy, in one table: its environment variable, what it accepts, its default, what it does.
 * Types, validation (lib/config/config.ts) and docs/configuration.md are made from it. The settings are in
 * lib/config/settings/, but those of one platform, which are in its folder.
 */
import { azureSettings } from '../platforms/azure/settings.ts'
import { googleSettings } from '../platforms/google/settings.ts'
import { linuxSettings } from '../platforms/linux/settings.ts'
import { localSettings } from '../platforms/local/settings.ts'
import { attestation } from './settings/attestation.ts'
import { encryption } from './settings/encryption.ts'
import { keys } from './settings/keys.ts'
import { ohttp } from './settings/ohttp.ts'
import { polarisV1 } from './settings/polaris-v1.ts'
import { server } from './settings/server.ts'
import type { SettingsTable, Values } from './settings/setting.ts'
import { workload } from './settings/workload.ts'

export { formats, parseDuration } from './settings/formats.ts'
export { accepts } from './settings/setting.ts'
export type { Setting, SettingsTable } from './settings/setting.ts'

/** By their headings in docs/configuration.md. */
export const groups = {
  Workload: workload,
  Encryption: encryption,
  OHTTP: ohttp,
  'Polaris v1': polarisV1,
  Keys: keys,
  'Keys and evidence: local': localSettings,
  'Keys and evidence: Google Cloud': googleSettings,
  'Keys and evidence: Azure': azureSettings,
  'Evidence: Linux': linuxSettings,
  Attestation: attestation,
  Server: server
} as const satisfies Record<string, SettingsTable>

export const settings = {
  ...workload,
  ...encryption,
  ...ohttp,
  ...polarisV1,
  ...keys,
  ...localSettings,
  ...googleSettings,
  ...azureSettings,
  ...linuxSettings,
  ...attestation,
  ...server
}

export type Settings = typeof settings
export type SettingName = keyof Settings

/** The validated settings; durations in milliseconds. */
export type Config = Values<Settings>

/** Settings as they may be given in code: durations as text ('30s') or milliseconds. */
export type ConfigInput = { readonly [K in SettingName]?: Config[K] | string | undefined }
