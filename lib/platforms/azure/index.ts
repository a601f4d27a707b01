/** Azure: keys in Key Vault and Managed HSM, with and without the sidecar, and evidence from Azure Attestation. */
import type { Platform } from '../platform.ts'
import { attesterTypes } from './evidence.ts'
import { keyTypes } from './keys.ts'
import { azureSettings as settings } from './settings.ts'
import type { UsedSettings } from './settings.ts'

export const azure: Platform<typeof settings, UsedSettings> = { title: 'Azure', settings, keyTypes, attesterTypes }
