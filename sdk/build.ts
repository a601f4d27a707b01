/**
 * Makes the package that is published, in sdk/dist: `npm run build -w sdk`.
 *
 *     browser.js   one minified file with everything in it, for pages and bundlers
 *     index.js     for Node, readable; dependencies are imported
 *     attestation.js  verification of evidence, for Node and bundlers
 *     cli.js       the `polaris` command
 *     types/       declarations
 */
import { execFile } from 'node:child_process'
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build as bundle } from 'esbuild'
import type { BuildOptions } from 'esbuild'

const sdk = import.meta.dirname
const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')

/** @returns the octets of the browser's file, as they are and compressed */
export async function build (outdir: string): Promise<{ minified: number, gzipped: number }> {
  await rm(outdir, { recursive: true, force: true })
  const common: BuildOptions = { entryPoints: [join(sdk, 'index.ts')], bundle: true, format: 'esm', charset: 'utf8', logLevel: 'warning' }
  await Promise.all([
    bundle({
      ...common,
      outfile: join(outdir, 'browser.js'),
      platform: 'browser',
      target: 'es2022',
      minify: true,
      sourcemap: true,
      define: { 'globalThis.Buffer': 'undefined' }
    }),
    bundle({ ...common, outfile: join(outdir, 'index.js'), platform: 'neutral', target: 'node20', packages: 'external' }),
    bundle({ ...common, entryPoints: [join(sdk, 'attestation/index.ts')], outfile: join(outdir, 'attestation.js'), platform: 'neutral', target: 'es2022', packages: 'external' }),
    bundle({ ...common, entryPoints: [join(sdk, 'cli/main.ts')], outfile: join(outdir, 'cli.js'), platform: 'node', target: 'node22', packages: 'external' }),
    declare(join(outdir, 'types'))
  ])
  await writeFile(join(outdir, 'package.json'), JSON.stringify(await manifest(), null, 2) + '\n')
  await copyFile(join(sdk, 'README.md'), join(outdir, 'README.md'))
  await copyFile(join(sdk, '../LICENSE'), join(outdir, 'LICENSE'))

  const file = await readFile(join(outdir, 'browser.js'))
  return { minified: file.length, gzipped: gzipSync(file, { level: 9 }).length }
}

async function declare (outdir: string): Promise<void> {
  await promisify(execFile)(process.execPath, [
    tsc, '-p', sdk, '--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rootDir', join(sdk, '..'), '--outDir', outdir
  ])
  // The compiler leaves the names of the sources in the declarations.
  const files = await readdir(outdir, { recursive: true, withFileTypes: true })
  await Promise.all(files.filter(file => file.isFile()).map(async file => {
    const path = join(file.parentPath, file.name)
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace(/(from |import\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2'))
  }))
}

/** The workspace's own package.json, with what is built in place of the sources. */
async function manifest (): Promise<object> {
  const { scripts: _, exports: __, ...common } = JSON.parse(await readFile(join(sdk, 'package.json'), 'utf8'))
  return {
    ...common,
    exports: {
      '.': { types: './types/sdk/index.d.ts', browser: './browser.js', default: './index.js' },
      './attestation': { types: './types/sdk/attestation/index.d.ts', default: './attestation.js' },
      './package.json': './package.json'
    },
    bin: { polaris: './cli.js' },
    types: './types/sdk/index.d.ts'
  }
}

if (import.meta.main) {
  const outdir = fileURLToPath(new URL('dist', import.meta.url))
  const { minified, gzipped } = await build(outdir)
  process.stdout.write(`${outdir}: browser.js is ${minified} octets minified, ${gzipped} with gzip\n`)
}
