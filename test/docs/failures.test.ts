/** docs/failures.md says what clients see when something fails: each of its lines has a test, and each test a line. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { read } from '../fixtures/documents.ts'
import { root } from '../fixtures/script.ts'

const [, table = ''] = read('docs/failures.md').split('| --- | --- | --- | --- |\n')
const lines = table.split('\n\n')[0]!.split('\n').map(line => line.split('|')[1]!.trim())
const names = readdirSync(join(root, 'chaos-test'))
  .filter(name => /^(?:killed|partition|clock)\.test\.ts$/.test(name))
  .flatMap(name => [...read(`chaos-test/${name}`).matchAll(/(?:t\.test\(['`]|^ {2}')([^'`]+)['`](?:, \{|: \()/gm)])
  .map(([, name = '']) => name.replace(/ \(\$\{count\} replicas\)| \$\{direction\}/g, ''))
  .filter(name => !name.startsWith('$'))

t.test('each line of the table is a test', async t => {
  t.ok(lines.length >= 8)
  for (const line of lines) t.ok(names.some(name => line.startsWith(name)), line)
})

t.test('each test is a line of the table', async t => {
  t.ok(names.length >= 8)
  for (const name of names) t.ok(lines.some(line => line.startsWith(name)), name)
})
