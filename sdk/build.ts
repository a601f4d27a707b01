/**
 * Makes the package that is published, in sdk/dist: `npm run build -w sdk`.
 *
 *     browser.js              one minified file with everything but the next in it, for pages and bundlers
 *     browser-attestation.js  what verifies evidence; browser.js loads it if attestation is asked for
 *     browser-sigstore.js     what verifies Sigstore bundles; the file before loads it if a policy has provenance
 *     index.js, attestation.js  the same for Node, readable; dependencies are imported
 *     cli.js                  the `polaris` command
 *     types/                  declarations
 */
import { execFile } from 'node:child_process'
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build as bundle } from 'esbuild'
import type { BuildOptions, Plugin } from 'esbuild'
import { BUFFER, nodeForSigstore, sigstoreApart } from './browser/sigstore.ts'

const sdk = import.meta.dirname
const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')

const common: BuildOptions = { bundle: true, format: 'esm', charset: 'utf8', logLevel: 'warning' }

export interface Size {
  readonly minified: number
  readonly gzipped: number
}

/** @returns the bytes of the browser's files, as they are and compressed */
export async function build (outdir: string): Promise<Record<'browser' | 'attestation' | 'sigstore', Size>> {
  await rm(outdir, { recursive: true, force: true })
  await Promise.all([
    buildForBrowsers(outdir),
    bundle({
      ...common,
      entryPoints: { index: join(sdk, 'index.ts'), attestation: join(sdk, 'attestation/index.ts') },
      outdir,
      // What both need is in a file that both import, so that each class is there once.
      splitting: true,
      platform: 'neutral',
      target: 'node20',
      packages: 'external'
    }),
    bundle({
      ...common,
      entryPoints: [join(sdk, 'cli/main.ts')],
      outfile: join(outdir, 'cli.js'),
      platform: 'node',
      target: 'node22',
      packages: 'external'
    }),
    declare(join(outdir, 'types'))
  ])
  await writeFile(join(outdir, 'package.json'), JSON.stringify(await manifest(), null, 2) + '\n')
  await copyFile(join(sdk, 'README.md'), join(outdir, 'README.md'))
  await copyFile(join(sdk, '../LICENSE'), join(outdir, 'LICENSE'))
  return {
    browser: await sizeOf(join(outdir, 'browser.js')),
    attestation: await sizeOf(join(outdir, 'browser-attestation.js')),
    sigstore: await sizeOf(join(outdir, 'browser-sigstore.js'))
  }
}

/** Three files, each of which stands alone: a page that asks for no attestation loads the small one only. */
export async function buildForBrowsers (outdir: string): Promise<void> {
  const options: BuildOptions = {
    ...common,
    platform: 'browser',
    target: 'es2022',
    minify: true,
    sourcemap: true,
    define: { 'globalThis.Buffer': 'undefined', 'globalThis.process': 'undefined' }
  }
  await Promise.all([
    bundle({
      ...options, entryPoints: [join(sdk, 'index.ts')], outfile: join(outdir, 'browser.js'), plugins: [attestationApart]
    }),
    bundle({
      ...options,
      entryPoints: [join(sdk, 'attestation/index.ts')],
      outfile: join(outdir, 'browser-attestation.js'),
      plugins: [sigstoreApart]
    }),
    bundle({
      ...options,
      entryPoints: [join(sdk, 'browser/packages.ts')],
      outfile: join(outdir, 'browser-sigstore.js'),
      inject: [BUFFER],
      plugins: [nodeForSigstore]
    })
  ])
}

const attestationApart: Plugin = {
  name: 'attestation-apart',
  setup ({ onResolve }) {
    onResolve(
      { filter: /\/attestation\/index\.ts$/ },
      ({ kind }) => kind === 'dynamic-import' ? { path: './browser-attestation.js', external: true } : undefined
    )
  }
}

async function sizeOf (path: string): Promise<Size> {
  const file = await readFile(path)
  return { minified: file.length, gzipped: gzipSync(file, { level: 9 }).length }
}

async function declare (outdir: string): Promise<void> {
  await promisify(execFile)(process.execPath, [
    tsc, '-p', sdk, '--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rootDir', join(sdk, '..'),
    '--outDir', outdir,
    // Or it writes only what has changed since the last check.
    '--incremental', 'false', '--tsBuildInfoFile', 'null'
  ])
  // The compiler leaves the names of the sources in the declarations.
  const files = await readdir(outdir, { recursive: true, withFileTypes: true })
  await Promise.all(files.filter(file => file.isFile()).map(async file => {
    const path = join(file.parentPath, file.name)
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace(/(from |import\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2'))
  }))
}

/**
 * The workspace's own package.json, with what is built in place of the sources. Those are private: they are of no use
 * alone.
 */
async function manifest (): Promise<object> {
  const {
    scripts: _, exports: __, private: ___, devDependencies: ____, browser: _____, ...common
  } = JSON.parse(await readFile(join(sdk, 'package.json'), 'utf8'))
  return {
    ...common,
    exports: {
      '.': { types: './types/sdk/index.d.ts', browser: './browser.js', default: './index.js' },
      './attestation': {
        types: './types/sdk/attestation/index.d.ts', browser: './browser-attestation.js', default: './attestation.js'
      },
      './package.json': './package.json'
    },
    bin: { polaris: './cli.js' },
    types: './types/sdk/index.d.ts'
  }
}

if (import.meta.main) {
  const outdir = fileURLToPath(new URL('dist', import.meta.url))
  const sizes = await build(outdir)
  const lines = Object.entries(sizes).map(
    ([name, { minified, gzipped }]) => `${name}: ${minified} octets minified, ${gzipped} with gzip\n`
  )
  process.stdout.write(`${outdir}\n${lines.join('')}`)
}
