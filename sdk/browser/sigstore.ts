/**
 * For esbuild: bundles the optional `@sigstore` packages, which are hidden from bundlers elsewhere. For browsers,
 * Node's `crypto` and `Buffer`, as far as they use them, come along.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Plugin, PluginBuild } from 'esbuild'

const PACKAGES = ['bundle', 'protobuf-specs', 'verify']
const HIDDEN = "import(['@sigstore', name].join('/'))"

/** The packages become part of the file. */
export const withSigstore: Plugin = {
  name: 'with-sigstore',
  setup (build) {
    const known = PACKAGES.map(name => `'${name}': () => import('@sigstore/${name}')`).join(', ')
    loadPackagesBy(build, `({ ${known} } as Record<string, () => Promise<unknown>>)[name]!()`)
  }
}

/**
 * The packages are in a file of their own beside it, `browser-sigstore.js`, which pages load when they verify a bundle.
 */
export const sigstoreApart: Plugin = {
  name: 'sigstore-apart',
  setup (build) {
    build.onResolve({ filter: /^\.\/browser-sigstore\.js$/ }, ({ path }) => ({ path, external: true }))
    loadPackagesBy(build, "(await import('./browser-sigstore.js' as string) as Record<string, unknown>)[name]")
  }
}

function loadPackagesBy ({ onLoad }: PluginBuild, expression: string): void {
  onLoad({ filter: /[/\\]provenance[/\\]library\.ts$/ }, async ({ path }) => {
    const source = await readFile(path, 'utf8')
    if (!source.includes(HIDDEN)) throw new Error(`${path} does not load the packages as this plugin knows it`)
    return { contents: source.replace(HIDDEN, expression), loader: 'ts' }
  })
}

/** Beside `withSigstore`, and with `sdk/browser/buffer.ts` among what is injected. */
export const nodeForSigstore: Plugin = {
  name: 'node-for-sigstore',
  setup ({ onLoad, onResolve }) {
    onResolve({ filter: /^(?:crypto|util)$/ }, ({ path }) => ({ path, namespace: 'node-for-sigstore' }))
    onLoad({ filter: /^crypto$/, namespace: 'node-for-sigstore' }, () => ({
      // As a module of Node's own appears to CommonJS.
      contents: "const { createHash, createPublicKey, timingSafeEqual, verify } = require('./crypto.ts')\n" +
        'module.exports = { createHash, createPublicKey, timingSafeEqual, verify }\n',
      resolveDir: import.meta.dirname,
      loader: 'js'
    }))
    onLoad({ filter: /^util$/, namespace: 'node-for-sigstore' }, () => ({
      contents: "module.exports = { isDeepStrictEqual: require('./util.ts').isDeepStrictEqual }\n",
      resolveDir: import.meta.dirname,
      loader: 'js'
    }))
    // It names the Buffer that is global, which stays absent for all others.
    onLoad({ filter: /[/\\]@sigstore[/\\]protobuf-specs[/\\].*\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replaceAll('globalThis.Buffer', 'Buffer'),
      loader: 'js'
    }))
  }
}

export const BUFFER = join(import.meta.dirname, 'buffer.ts')
