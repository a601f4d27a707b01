/** Whatever setting a document names exists. */
import t from 'tap'
import { settings } from '../../lib/config/settings.ts'
import type { Setting } from '../../lib/config/settings.ts'
import { documents, read } from '../fixtures/documents.ts'

const names = new Set(Object.values<Setting>(settings).flatMap(({ env, aliases = [] }) => [env, ...aliases]))

for (const document of documents()) {
  // `POLARIS_CONTAINER_*` speaks of several.
  const named = new Set(
    [...read(document).matchAll(/POLARIS_CONTAINER_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_]*[*…{])/g)].map(([name]) => name)
  )
  for (const name of named) t.ok(names.has(name), `${document}: ${name}`)
}
