/** Names the packages that a bundle holds parts of, with their licences as they want to be handed on. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/**
 * @param inputs paths of a bundle's inputs, relative to the root of the repository
 * @returns where npm installs the packages that they are of, e.g. `node_modules/jose`
 */
export function packagesOf (inputs: readonly string[]): string[] {
  return [...new Set(inputs.flatMap(path => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []))].sort()
}

export async function licencesOf (packages: readonly string[]): Promise<string> {
  return (await Promise.all(packages.map(describe))).join('\n\n')
}

async function describe (folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(
    await readFile(join(root, folder, 'package.json'), 'utf8')
  ) as Record<string, string>
  const file = (await readdir(join(root, folder))).sort().find(entry => /^licen[cs]e(?:\.|$)/i.test(entry))
  const text = file === undefined
    ? ''
    : `\n\n${(await readFile(join(root, folder, file), 'utf8')).replace(/\r\n/g, '\n').trim()}`
  return `${name} ${version}, ${license}${text}`
}
