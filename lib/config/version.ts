/** What runs here, as it says itself. */
import { readFileSync } from 'node:fs'

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
) as { version: string }

export const versions = { version, node: process.versions.node }
