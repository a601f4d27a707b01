/**
 * Makes the page that verifies a proxy: `npm run page [-- <file>]`, by default dist/polaris-verify.html. It is one
 * static file without anything beside it; the same sources and lockfile give the same bytes.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { build } from 'esbuild'
import { BUFFER, nodeForSigstore, withSigstore } from '../sdk/browser/sigstore.ts'
import { licencesOf, packagesOf } from './licences.ts'

const here = import.meta.dirname
const root = join(here, '..')

/**
 * Where people may ask: proxies and issuers over TLS, proxies on this machine. What the page's own address is, it
 * cannot know.
 */
const CONNECT = "'self' https: http://localhost:* http://127.0.0.1:*"

export interface BuiltPage {
  readonly html: string
  /** SHA-256 of the file, in hexadecimal. */
  readonly sha256: string
  /** Paths of the packages that it holds parts of, as package-lock.json has them. */
  readonly packages: readonly string[]
}

export async function buildPage (): Promise<BuiltPage> {
  const [template, style, { script, packages }, { version }] = await Promise.all([
    readFile(join(here, 'page.html'), 'utf8'),
    minifyStyle(),
    bundle(),
    readFile(join(root, 'package.json'), 'utf8').then(text => JSON.parse(text) as { version: string })
  ])
  const parts: Readonly<Record<string, string>> = {
    POLICY: policyFor(script, style),
    STYLE: style,
    SCRIPT: script,
    VERSION: version,
    LICENCES: escapeText(await licencesOf(packages))
  }
  // A function: what is put in may contain patterns such as $&.
  const html = template.replace(/%([A-Z]+)%/g, (_, name: string) => {
    const part = parts[name]
    if (part === undefined) throw new Error(`page.html asks for ${name}, which the build does not make`)
    return part
  })
  return { html, sha256: createHash('sha256').update(html).digest('hex'), packages }
}

/** Nothing is allowed but this script, this style, and to ask. */
function policyFor (script: string, style: string): string {
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  return [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    `connect-src ${CONNECT}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'"
  ].join('; ')
}

async function bundle (): Promise<{ script: string, packages: string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(here, 'client/main.ts')],
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    charset: 'utf8',
    // The licences are at the end of the page.
    legalComments: 'none',
    logLevel: 'warning',
    define: { 'globalThis.Buffer': 'undefined', 'globalThis.process': 'undefined' },
    // Not those of files around it, which not every place where it is built has.
    tsconfigRaw: { compilerOptions: { target: 'esnext', verbatimModuleSyntax: true } },
    inject: [BUFFER],
    plugins: [withSigstore, nodeForSigstore]
  })
  const [{ text: script } = { text: '' }] = outputFiles
  if (/<\/script|<!--/i.test(script)) throw new Error('The script would end the element that it is in')
  return { script, packages: packagesOf(Object.keys(metafile.inputs).map(path => relative(root, resolve(root, path)))) }
}

async function minifyStyle (): Promise<string> {
  const { outputFiles: [file] } = await build(
    { entryPoints: [join(here, 'page.css')], minify: true, write: false, logLevel: 'warning' }
  )
  return file?.text.trim() ?? ''
}

function escapeText (text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
}

/** @returns SHA-256 of the file, in hexadecimal */
export async function writePage (outfile: string): Promise<string> {
  const { html, sha256 } = await buildPage()
  await mkdir(dirname(outfile), { recursive: true })
  await writeFile(outfile, html)
  return sha256
}

if (import.meta.main) {
  const outfile = resolve(process.argv[2] ?? join(root, 'dist/polaris-verify.html'))
  process.stdout.write(`${await writePage(outfile)}  ${outfile}\n`)
}
