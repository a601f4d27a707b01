/**
 * The `@sigstore` packages as browsers get them come to the same verdicts as in Node, on what is genuine and on what is
 * not.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { build } from 'esbuild'
import fc from 'fast-check'
import t from 'tap'
import { loadSigstore } from '../../../sdk/attestation/provenance/library.ts'
import type { SigstoreVerifier, Thresholds } from '../../../sdk/attestation/provenance/library.ts'
import { BUFFER, nodeForSigstore, withSigstore } from '../../../sdk/browser/sigstore.ts'
import * as util from '../../../sdk/browser/util.ts'
import { sharedFolders, sharedJson } from '../../fixtures/shared.ts'
import { createSigstore } from '../../fixtures/sigstore.ts'

interface Case { readonly bundle: unknown, readonly trustedRoot: unknown }

const ONE: Thresholds = { logEntries: 1, certificateTimestamps: 1, timestamps: 1 }
const outcome = ({ verify }: SigstoreVerifier, { bundle, trustedRoot }: Case) => {
  try {
    verify(bundle, trustedRoot, ONE)
    return 'verified'
  } catch (error) {
    return (error as { code?: string }).code ?? 'refused'
  }
}

/** In a process without Node's Buffer and crypto for scripts: what a browser has is all there is. */
async function inBrowser (cases: readonly Case[]): Promise<string[]> {
  const folder = t.testdir()
  const { outputFiles: [file] } = await build({
    stdin: {
      contents: `import { loadSigstore } from './sdk/attestation/provenance/library.ts'
        const outcome = ${outcome.toString()}
        const ONE = ${JSON.stringify(ONE)}
        export const run = async cases => { const verifier = await loadSigstore(); return cases.map(item => outcome(verifier, item)) }`,
      resolveDir: join(import.meta.dirname, '../../..'),
      loader: 'js'
    },
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'sigstore',
    platform: 'browser',
    inject: [BUFFER],
    plugins: [withSigstore, nodeForSigstore]
  })
  writeFileSync(join(folder, 'sigstore.js'), file?.text ?? '')
  writeFileSync(join(folder, 'run.mjs'), `import { readFileSync } from 'node:fs'
    import { createContext, runInContext } from 'node:vm'
    const context = createContext({ TextEncoder, TextDecoder, Uint8Array, atob, btoa })
    runInContext(readFileSync(new URL('sigstore.js', import.meta.url), 'utf8'), context)
    context.input = readFileSync(0, 'utf8')
    process.stdout.write(await runInContext('sigstore.run(JSON.parse(input)).then(JSON.stringify)', context))`)
  return JSON.parse(execFileSync(
    process.execPath, [join(folder, 'run.mjs')], { input: JSON.stringify(cases), maxBuffer: 2 ** 26 }
  ).toString())
}

t.test('a conformance suite and a Sigstore of our own, each with single changes, are judged as in Node', async t => {
  const { trustedRoot, bundle } = createSigstore()
  const genuine = bundle('ab'.repeat(32))
  const text = JSON.stringify(genuine)
  const changed = [...text.matchAll(/[A-Za-z\d+/]{24,}/g)].map(({ 0: match, index }) => {
    const at = index + Math.floor(match.length / 2)
    return JSON.parse(text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)) as unknown
  })
  const given = sharedFolders('vectors', 'sigstore').map(name => {
    const {
      bundle_b64: bundle, trust_root_b64: root
    } = sharedJson('vectors', 'sigstore', name, 'input.json') as Record<string, string>
    const decoded = (text = '') => Buffer.from(text, 'base64').toString()
    try {
      return { bundle: JSON.parse(decoded(bundle)) as unknown, trustedRoot: JSON.parse(decoded(root)) as unknown }
    } catch {
      // What is no JSON never gets here.
      return { bundle: {}, trustedRoot: {} }
    }
  })
  if (given.length === 0) t.comment('vectors/sigstore is not beside this repository')
  const cases: Case[] = [
    { bundle: genuine, trustedRoot }, ...changed.map(bundle => ({ bundle, trustedRoot })), ...given
  ]
  const node = await loadSigstore()
  const expected = cases.map(item => outcome(node, item))
  t.equal(expected[0], 'verified')
  t.ok(expected.slice(1, 1 + changed.length).filter(result => result !== 'verified').length > 5, 'changes are noticed')
  t.same(await inBrowser(cases), expected)
})

/** Of everything that a bundle can hold. */
const values = () => [
  undefined, null, 0, -0, NaN, 1, 1n, '', 'a', true, {}, [], [1], [1, 2], { a: 1 }, { a: undefined }, { b: 1 },
  { a: 1, b: undefined }, { a: { b: [1] } }, { a: [new Date(1)] }, new Date(0), new Date(1), new Date(2),
  new Date(NaN), Uint8Array.of(1, 2), Uint8Array.of(1, 3), Uint8Array.of(1), Buffer.of(1), Buffer.of(2),
  Buffer.of(1, 2),
  { type: 'log', logID: Buffer.of(1), timestamp: new Date(5) },
  { type: 'log', logID: Buffer.of(2), timestamp: new Date(5) },
  { type: 'log', logID: Buffer.of(1), timestamp: new Date(6) }
]

t.test('what stands in for util.isDeepStrictEqual agrees with it', async t => {
  const ones = values()
  for (const others of [ones, values()]) {
    for (const [i, one] of ones.entries()) {
      for (const [j, other] of others.entries()) {
        t.equal(util.isDeepStrictEqual(one, other), isDeepStrictEqual(one, other), `${i} and ${j}`)
      }
    }
  }
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => [other, JSON.parse(JSON.stringify(one))].every(
    value => util.isDeepStrictEqual(one, value) === isDeepStrictEqual(one, value)
  )))
})
