/**
 * Makes the `polaris` command one executable file that needs no Node: `npm run executable [-- [--arch x64|arm64]
 * <file>]`, by default dist/polaris-linux-x64 or -arm64, for this machine. It is the pinned Node binary with the
 * bundled command inside (Node's single executable applications); the same sources and lockfile give the same bytes.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { build } from 'esbuild'
import { withSigstore } from '../sdk/browser/sigstore.ts'

const root = join(import.meta.dirname, '..')
const run = promisify(execFile)
const postject = createRequire(import.meta.url).resolve('postject/dist/cli.js')
/** Node marks with this where it looks for an application. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/** One script with everything in it. An application has to be CommonJS, which knows no top-level await. */
async function bundle (outfile: string): Promise<void> {
  await build({
    stdin: { contents: 'import { run } from \'./sdk/cli/program.ts\'\nrun()\n', resolveDir: root, loader: 'ts' },
    outfile,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    absWorkingDir: root,
    plugins: [withSigstore]
  })
}

export const ARCHITECTURES = ['x64', 'arm64'] as const
export type Architecture = typeof ARCHITECTURES[number]

interface Lockfile {
  readonly packages: Readonly<Record<string, {
    readonly version: string, readonly integrity: string
  } | undefined>>
}

/**
 * The Node binary that the lockfile pins. npm has installed this machine's; another one is fetched, and compared with
 * the pin.
 */
async function pinnedNode (architecture: Architecture, work: string): Promise<string> {
  const name = `node-linux-${architecture}`
  const installed = join(root, 'node_modules', name, 'bin/node')
  if (existsSync(installed)) return installed
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lockfile
  const { version, integrity } = packages[`node_modules/${name}`] ?? { version: 'none', integrity: 'none' }
  await run('npm', ['pack', '--silent', `${name}@${version}`], { cwd: work })
  const archive = join(work, `${name}-${version}.tgz`)
  const found = `sha512-${createHash('sha512').update(await readFile(archive)).digest('base64')}`
  if (found !== integrity) throw new Error(`${name} ${version} is not the pinned one: ${found}`)
  await run('tar', ['-xzf', archive, '--strip-components=1', '--no-same-owner', 'package/bin/node'], { cwd: work })
  return join(work, 'bin/node')
}

function thisMachine (): Architecture {
  const found = ARCHITECTURES.find(name => name === process.arch)
  if (found === undefined) {
    throw new Error(`There is no executable for ${process.arch}: say --arch ${ARCHITECTURES.join(' or --arch ')}`)
  }
  return found
}

/** @returns SHA-256 of the file, in hexadecimal */
export async function buildExecutable (outfile: string, architecture: Architecture = thisMachine()): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'polaris-executable-'))
  try {
    await bundle(join(work, 'polaris.cjs'))
    // Without a snapshot and cached code, which depend on the machine, and by relative names, which are written into
    // it.
    const settings = {
      main: 'polaris.cjs',
      output: 'polaris.blob',
      disableExperimentalSEAWarning: true,
      useSnapshot: false,
      useCodeCache: false
    }
    await writeFile(join(work, 'sea.json'), JSON.stringify(settings))
    // By a binary of the version that the application goes into.
    await run(await pinnedNode(thisMachine(), work), ['--experimental-sea-config', 'sea.json'], { cwd: work })
    await mkdir(dirname(outfile), { recursive: true })
    await copyFile(await pinnedNode(architecture, work), outfile)
    await chmod(outfile, 0o755)
    await run(
      process.execPath, [postject, outfile, 'NODE_SEA_BLOB', join(work, 'polaris.blob'), '--sentinel-fuse', FUSE]
    )
    return createHash('sha256').update(await readFile(outfile)).digest('hex')
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  const {
    values: { arch = thisMachine() }, positionals: [file]
  } = parseArgs({ options: { arch: { type: 'string' } }, allowPositionals: true })
  const architecture = ARCHITECTURES.find(name => name === arch)
  if (architecture === undefined) throw new Error(`--arch must be ${ARCHITECTURES.join(' or ')}`)
  const outfile = resolve(file ?? join(root, `dist/polaris-linux-${architecture}`))
  process.stdout.write(`${await buildExecutable(outfile, architecture)}  ${outfile}\n`)
}
