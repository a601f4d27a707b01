/** Coverage is held to its threshold in each folder, however well the others do. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { root, runScript } from '../fixtures/script.ts'

const cases: Array<[string, Record<string, [covered: number, total: number]>, number]> = [
  [
    'files make up for each other within a folder',
    { 'lib/a.ts': [100, 100], 'lib/b/c.ts': [92, 100], 'sdk/d.ts': [96, 100] }, 0
  ],
  ['folders do not', { 'lib/a.ts': [10_000, 10_000], 'sdk/b.ts': [94, 100] }, 1],
  ['what is not above the threshold is not enough', { 'lib/a.ts': [95, 100], 'sdk/b.ts': [100, 100] }, 1],
  ['other folders are not asked for', { 'lib/a.ts': [100, 100], 'sdk/b.ts': [100, 100], 'plugins/c.ts': [0, 100] }, 0],
  ['a folder without a file fails', { 'lib/a.ts': [100, 100] }, 1]
]
for (const [name, files, code] of cases) {
  t.test(name, async t => {
    const summary = join(t.testdir(), 'summary.json')
    const entries = Object.entries(files).map(
      ([path, [covered, total]]) => [join(root, path), { lines: { covered, total } }]
    )
    await writeFile(
      summary, JSON.stringify({ total: { lines: { covered: 1, total: 1 } }, ...Object.fromEntries(entries) })
    )
    const script = runScript(t, ['scripts/coverage.ts', summary])
    t.equal(await script.ended, code, script.output())
  })
}
