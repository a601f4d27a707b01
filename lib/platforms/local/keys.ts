/** Key types of any machine. */
import { listOf } from '../platform.ts'
import type { KeyType } from '../platform.ts'
import type { localSettings } from './settings.ts'

export const keyTypes: readonly KeyType<typeof localSettings>[] = [
  {
    name: 'ephemeral',
    requires: [],
    seeds: [],
    places: [{ place: 'Memory of one instance, made at start', gate: 'Nothing: nothing else ever has it' }],
    async create (_settings, { pool }) {
      const { createEphemeralProvider } = await import('./ephemeral-keys.ts')
      return createEphemeralProvider(pool)
    }
  },
  {
    name: 'file',
    requires: ['keyFile'],
    seeds: [{ seed: 'derived' }, { seed: 'sealed' }],
    places: [{ place: 'A mounted file, then memory', gate: 'Whatever released the file' }],
    weakness: () => 'Anyone who has a copy of the key files can open requests (POLARIS_CONTAINER_KEY_TYPE=file)',
    problems: async ({ keyFile }) => (await import('./file-keys.ts')).unusableFiles(listOf(keyFile)),
    async create ({ keyFile }, { log, retry, pool }) {
      const { createFileProvider } = await import('./file-keys.ts')
      return createFileProvider({ ...pool, retry, paths: listOf(keyFile) }, log)
    }
  }
]
