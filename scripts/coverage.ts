/**
 * Ends `npm test`: more than 95 % of the lines in each of these folders have to be covered. tap counts all files
 * together, where well-tested ones make up for others. Reads tap's summary, or that of the path given.
 */
import { readFileSync } from 'node:fs'
import { relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const MINIMUM = 95
const FOLDERS = ['lib', 'sdk']
const root = fileURLToPath(new URL('..', import.meta.url))

/** By path; the counts of all files together are under `total`. */
type Summary = Record<string, { lines: { total: number, covered: number } }>

const { total: _all, ...files } = JSON.parse(
  readFileSync(process.argv[2] ?? `${root}.tap/report/coverage-summary.json`, 'utf8')
) as Summary
const byFolder = Map.groupBy(Object.entries(files), ([path]) => relative(root, path).split(sep)[0])
for (const folder of FOLDERS) {
  const counts = (byFolder.get(folder) ?? []).map(([, { lines }]) => lines)
  const covered = 100 * sum(counts.map(lines => lines.covered)) / sum(counts.map(lines => lines.total))
  console.log(`${folder}/: ${covered.toFixed(2)} % of lines are covered`)
  // Not a number where there are no files.
  if (!(covered > MINIMUM)) {
    console.error(`More than ${MINIMUM} % of the lines in ${folder}/ have to be`)
    process.exitCode = 1
  }
}

function sum (numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
