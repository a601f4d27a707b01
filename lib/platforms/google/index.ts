/** Google Cloud: keys in Cloud KMS, and the tokens of Confidential Space. */
import type { Platform } from '../platform.ts'
import { attesterTypes } from './evidence.ts'
import { keyTypes } from './keys.ts'
import { googleSettings as settings } from './settings.ts'

export const google: Platform<typeof settings> = { title: 'Google Cloud', settings, keyTypes, attesterTypes }
