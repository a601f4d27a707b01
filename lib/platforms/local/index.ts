/** Any machine: keys that it makes or finds in files, and evidence that proves nothing. */
import type { Platform } from '../platform.ts'
import { attesterTypes } from './evidence.ts'
import { keyTypes } from './keys.ts'
import { localSettings as settings } from './settings.ts'

export const local: Platform<typeof settings> = { title: 'Files and development', settings, keyTypes, attesterTypes }
