/** Reads from package-lock.json which packages one of the project's own packages needs at run time. */
import { readFileSync } from 'node:fs'

const LOCKFILE = new URL('../package-lock.json', import.meta.url)

/** An entry of `packages` in a lockfile of version 3, as far as it is used here. */
interface Entry {
  name?: string
  version?: string
  integrity?: string
  license?: string
  link?: true
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
}

export interface LockedPackage {
  /** Where npm installs it, e.g. `node_modules/a/node_modules/b`. */
  readonly path: string
  readonly name: string
  readonly version: string
  /** Subresource integrity of the published tarball. */
  readonly integrity: string
  /** SPDX expression. */
  readonly license: string
  /** Paths of the packages that it resolves its own dependencies to. */
  readonly dependencies: readonly string[]
}

/**
 * The packages that `npm ci --omit=dev --omit=optional` installs for the package in `root` (`''` is the project
 * itself, `'sdk'` the workspace), sorted by path. npm's own `npm sbom --omit` is no help here: it leaves out what
 * a development dependency needs as well.
 */
export function runtimePackages (root: string, lockfile: string | URL = LOCKFILE): LockedPackage[] {
  const { packages } = JSON.parse(readFileSync(lockfile, 'utf8')) as { packages: Record<string, Entry> }
  const found = new Map<string, LockedPackage>()
  const pending = resolveAll(packages, root)
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (found.has(path)) continue
    const dependencies = resolveAll(packages, path)
    found.set(path, locked(packages, path, dependencies.sort()))
    pending.push(...dependencies)
  }
  return [...found.values()].sort((a, b) => a.path < b.path ? -1 : 1)
}

/** The packages at those paths, without what they depend on: of a bundle, that is part of it or left out. */
export function lockedPackages (paths: readonly string[], lockfile: string | URL = LOCKFILE): LockedPackage[] {
  const { packages } = JSON.parse(readFileSync(lockfile, 'utf8')) as { packages: Record<string, Entry> }
  return paths.map(path => locked(packages, path, []))
}

function locked (packages: Record<string, Entry>, path: string, dependencies: readonly string[]): LockedPackage {
  const { name, version, integrity, license } = packages[path] ?? {}
  if (version === undefined || integrity === undefined) throw new Error(`${path} is not locked to a published version`)
  return {
    path,
    name: name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
    version,
    integrity,
    license: license ?? 'NOASSERTION',
    dependencies
  }
}

/** Where what `path` needs is installed, looking from its own node_modules upwards, as Node does. */
function resolveAll (packages: Record<string, Entry>, path: string): string[] {
  const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = packages[path] ?? {}
  const required = Object.keys(dependencies)
    .concat(Object.keys(peerDependencies).filter(name => peerDependenciesMeta[name]?.optional !== true))
  return [...new Set(required)].map(name => {
    for (let from = path; ; from = from.slice(0, Math.max(from.lastIndexOf('/node_modules/'), 0))) {
      const candidate = `${from === '' ? '' : `${from}/`}node_modules/${name}`
      if (candidate in packages) return candidate
      if (from === '') throw new Error(`package-lock.json has no ${name}, which ${path} needs`)
    }
  })
}
