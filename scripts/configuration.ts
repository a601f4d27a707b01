/**
 * Writes docs/configuration.md from the table of settings. `--check` writes nothing, and fails if the file is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { accepts, groups, settings } from '../lib/config/settings.ts'
import type { Setting } from '../lib/config/settings.ts'
import { wrapped } from './wrap.ts'

const file = new URL('../docs/configuration.md', import.meta.url)

const intro = `# Configuration

<!-- Made by \`npm run docs\` from lib/config/settings.ts. Change it there. -->

All settings are environment variables. One is required: \`${settings.workloadBaseUrl.env}\`.

- A variable that is set to nothing counts as not set.
- A value that is not accepted stops the proxy before it listens. One message lists every problem, and never a value.
- A \`POLARIS_CONTAINER_*\` variable that is not in these tables is ignored. The log warns and names the nearest one.
- In code, \`app.register(polaris, { config: { … } })\` takes the names in the last column. The environment is then not read.
`

const tables = Object.entries(groups).map(([group, table]) => [
  `## ${group}`,
  '',
  '| Variable | Accepted | Default | What it does | In code |',
  '| --- | --- | --- | --- | --- |',
  ...Object.entries<Setting>(table).map(([name, setting]) => row(
    [variable(setting), accepts(setting), fallback(setting), setting.description, `\`${name}\``]
  )),
  ''
].join('\n'))
const wanted = wrapped([intro, ...tables].join('\n'))

if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== wanted) {
    console.error('docs/configuration.md is stale: run `npm run docs`')
    process.exitCode = 1
  }
} else {
  writeFileSync(file, wanted)
}

function variable ({ env, aliases = [] }: Setting): string {
  return [`\`${env}\``, ...aliases.map(alias => `or \`${alias}\``)].join(' ')
}

function fallback ({ required, default: value }: Setting): string {
  if (required) return '**required**'
  return value === undefined || value === '' ? '' : `\`${value}\``
}

function row (cells: readonly string[]): string {
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
