/**
 * Reads from the layers of an image what it holds beside the application: Node, and the Debian packages of the base.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Descriptor { digest: string, mediaType: string }

export interface DebianPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** As its copyright file names them; empty where that file has no machine-readable form. */
  readonly licences: readonly string[]
}

export interface ImageContents {
  /** Of the manifest. */
  readonly digest: string
  readonly debian: readonly DebianPackage[]
  /** Version of Node. */
  readonly node: string
}

const WANTED = [
  /(?:^|\/)var\/lib\/dpkg\/status\.d\/[^/.][^/]*$/,
  /(?:^|\/)usr\/share\/doc\/[^/]+\/copyright$/,
  /^(?:\.?\/)?nodejs\/bin\/node$/
]

/** @param layout an OCI layout that holds exactly one image, as docker/build.sh writes it */
export function readImageContents (layout: string): ImageContents {
  const blob = (digest: string) => join(layout, 'blobs', ...digest.split(':'))
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: Descriptor[] }
  const [manifest] = index.manifests
  if (manifest === undefined || index.manifests.length !== 1) {
    throw new Error(`${layout} does not hold exactly one image`)
  }
  const { layers } = JSON.parse(readFileSync(blob(manifest.digest), 'utf8')) as { layers: Descriptor[] }

  const work = mkdtempSync(join(tmpdir(), 'image-contents-'))
  try {
    for (const { digest } of layers) {
      const entries = execFileSync('tar', ['-tzf', blob(digest)], { encoding: 'utf8', maxBuffer: 2 ** 28 }).split('\n')
      const wanted = entries.filter(path => WANTED.some(pattern => pattern.test(path)))
      if (wanted.length > 0) execFileSync('tar', ['-xzf', blob(digest), '-C', work, '--', ...wanted])
    }
    const status = join(work, 'var/lib/dpkg/status.d')
    return {
      digest: manifest.digest,
      debian: readdirSync(status).filter(file => !file.endsWith('.md5sums')).sort()
        .map(file => debianPackage(readFileSync(join(status, file), 'utf8'), work)),
      node: nodeVersion(readFileSync(join(work, 'nodejs/bin/node')))
    }
  } finally {
    rmSync(work, { recursive: true })
  }
}

function debianPackage (control: string, root: string): DebianPackage {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(control)?.[1] ?? ''
  const copyright = join(root, 'usr/share/doc', field('Package'), 'copyright')
  const text = existsSync(copyright) ? readFileSync(copyright, 'utf8') : ''
  const licences = [...text.matchAll(/^License: *(\S.*)$/gm)].map(([, name = '']) => name.trim())
  return {
    name: field('Package'),
    version: field('Version'),
    architecture: field('Architecture'),
    licences: [...new Set(licences)].sort()
  }
}

/** The binary itself says which release it is: the address of its own source is compiled in. */
function nodeVersion (binary: Buffer): string {
  const version = /\/node-v(\d+\.\d+\.\d+)\.tar\.gz/.exec(binary.toString('latin1'))?.[1]
  if (version === undefined) throw new Error('the Node binary does not tell its version')
  return version
}
