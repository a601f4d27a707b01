/** Variables that look like settings and are none: most likely misspelt. */
import { PREFIX } from './settings/setting.ts'
import type { SettingsTable } from './settings/setting.ts'
import { settings } from './settings.ts'

/** A warning for each POLARIS_CONTAINER_* variable that no setting reads, naming the nearest one that exists. */
export function unknownVariables (
  env: Readonly<Record<string, string | undefined>>, table: SettingsTable = settings
): string[] {
  const names = new Set(Object.values(table).flatMap(({ env, aliases = [] }) => [env, ...aliases]))
  return Object.keys(env)
    .filter(name => name.startsWith(PREFIX) && !names.has(name))
    .map(name => {
      const [nearest] = [...names].sort((a, b) => distance(bare(name), bare(a)) - distance(bare(name), bare(b)))
      return `${name} is not a setting; did you mean ${nearest}?`
    })
}

/** Two settings have no prefix, which is soon forgotten. */
function bare (name: string): string {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name
}

/** Levenshtein distance. */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]!
}
