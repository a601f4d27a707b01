/** docs/configuration.md is what scripts/configuration.ts makes of lib/config/settings.ts. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { settings } from '../../lib/config/settings.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

t.test('docs/configuration.md is up to date', async t => {
  const { status, stderr } = spawnSync(
    process.execPath, ['scripts/configuration.ts', '--check'], { cwd: root, encoding: 'utf8', env: {} }
  )
  t.equal(status, 0, stderr)
})

t.test('docs/configuration.md names every setting', async t => {
  const text = readFileSync(`${root}/docs/configuration.md`, 'utf8')
  for (const { env } of Object.values(settings)) t.ok(text.includes(`\`${env}\``), env)
})
