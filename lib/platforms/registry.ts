/**
 * All platforms. This is the one place that lists them: a new one is a folder beside these and a line here, or an
 * option of the plugin (`platforms`).
 */
import { azure } from './azure/index.ts'
import { google } from './google/index.ts'
import { linux } from './linux/index.ts'
import { local } from './local/index.ts'
import type { AttesterType, KeyType, Platform } from './platform.ts'

/** The most specific first: Confidential Space and Azure offer more than the kernel below them. */
export const platforms = [google, azure, linux, local] as const

export interface Registry {
  readonly platforms: readonly Platform[]
  readonly keyTypes: readonly KeyType[]
  readonly attesterTypes: readonly AttesterType[]
}

/** Those of the proxy, and `more`, which are looked for before them. */
export function registryOf (more: readonly Platform[] = []): Registry {
  const all: readonly Platform[] = [...more, ...platforms]
  return {
    platforms: all,
    keyTypes: all.flatMap(({ keyTypes }) => keyTypes),
    attesterTypes: all.flatMap(({ attesterTypes }) => attesterTypes)
  }
}

export const builtIn = registryOf()
