/** The tree keeps its shape: no module imports itself by a way round, and no folder or file grows beyond a sitting. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))
const FOLDERS = ['lib', 'page', 'plugins', 'routes', 'sdk']
const MAX_FILES = 12
/** Folders that are still larger: they may not grow. */
const LARGER: Readonly<Record<string, number>> = { 'sdk/attestation': 13 }

function filesBelow (folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    if (entry.name === 'node_modules' || entry.name === 'dist') return []
    return entry.isDirectory()
      ? filesBelow(join(folder, entry.name))
      : entry.name.endsWith('.ts') ? [join(folder, entry.name)] : []
  })
}

const files = FOLDERS.flatMap(filesBelow)

/** Of values and of types, loaded at once or later. */
function importsOf (file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/(?:from |import |import\()'(\.[^']+\.ts)'/g)]
    .map(([, target = '']) => relative(root, join(root, dirname(file), target)))
    .filter(target => existsSync(join(root, target)))
}

t.test('no import cycle', async t => {
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (file: string, path: readonly string[]) => {
    const start = path.indexOf(file)
    if (start >= 0) cycles.push([...path.slice(start), file].join(' -> '))
    if (start >= 0 || done.has(file)) return
    for (const target of importsOf(file)) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  t.same(cycles, [])
})

t.test('no folder has more than 12 files, and lib has at most two loose modules', async t => {
  const folders = Map.groupBy(files, file => dirname(file))
  const tooLarge = [...folders].filter(([folder, { length }]) => length > (LARGER[folder] ?? MAX_FILES))
  t.same(tooLarge.map(([folder, { length }]) => `${folder}: ${length}`), [])
  t.ok((folders.get('lib') ?? []).length <= 2)
})

t.test('no module is longer than 300 lines, and no test', async t => {
  t.same([...files, ...['bench', 'scripts', 'test'].flatMap(filesBelow)].filter(
    file => statSync(join(root, file)).size > 0 && readFileSync(join(root, file), 'utf8').split('\n').length > 301
  ), [])
})
