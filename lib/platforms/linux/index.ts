/** Virtual machines whose kernel has reports of the hardware: SEV-SNP and TDX. */
import type { Platform } from '../platform.ts'
import { attesterTypes } from './evidence.ts'
import { linuxSettings as settings } from './settings.ts'

export const linux: Platform<typeof settings> = { title: 'Linux', settings, keyTypes: [], attesterTypes }
