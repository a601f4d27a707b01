/** Names of options: one that does not exist is an error, since a misspelt one could leave something unprotected. */

/** @throws {TypeError} there is a member that is not among the known ones */
export function checkNames (given: object, known: readonly string[], complaint: string): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue
    const near = nearest(name, known)
    throw new TypeError(`${complaint} ${JSON.stringify(name.slice(0, 60))}${near === undefined
      ? `: there are ${known.join(', ')}`
      : `: did you mean ${near}?`}`)
  }
}

/** The known name that is likely meant: at most a third of its letters differ. */
function nearest (name: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map(candidate => ({ candidate, distance: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.ceil(candidate.length / 3))
    .sort((a, b) => a.distance - b.distance)
  return best?.candidate
}

/** Levenshtein's, over at most 40 letters. */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...a.slice(0, 40)].entries()) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (letter === b[j] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
