// The image holds some of the sources. Once the verifier's entry reached for a module that is not among them, and a
// proxy with a policy file of its own ended at its start, in the image only.
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { START } from '../fixtures/process.ts'
import { root } from '../fixtures/script.ts'

/** What the Dockerfile copies to where it was, in the stage that the image is made of. */
const [, stage = ''] = /^FROM .* AS build$([^]*?)^FROM /m.exec(
  readFileSync(join(root, 'docker/Dockerfile'), 'utf8')
) ?? []
const copied = [...stage.matchAll(/^COPY (?!--)(.+) \S+$/gm)]
  .flatMap(([, paths = '']) => paths.split(' '))
const files = copied.filter(path => existsSync(join(root, path)))
  .flatMap(path => statSync(join(root, path)).isDirectory()
    ? readdirSync(join(root, path), { recursive: true, encoding: 'utf8' }).map(name => join(path, name))
    : [path])
const sources = files.filter(path => path.endsWith('.ts'))
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Statically, or when it is needed; not for types alone, and not in the examples of comments. */
function importsOf (path: string): string[] {
  const code = readFileSync(join(root, path), 'utf8').replace(/\/\*\*[^]*?\*\//g, '').replace(
    /^(?:import|export) type [^]*?from '[^']*'$/gm, ''
  )
  return [...code.matchAll(/(?:\bfrom |^import |\bimport\()'([^']+)'/gm)].map(([, specifier = '']) => specifier)
}

t.test('whatever the image\'s sources import is in the image', async t => {
  t.ok(sources.includes('server.ts') && sources.includes('sdk/attestation/index.ts'))
  for (const path of sources) {
    for (const specifier of importsOf(path).filter(specifier => !specifier.startsWith('node:'))) {
      if (specifier.startsWith('.')) {
        t.ok(
          files.includes(relative(root, join(root, dirname(path), specifier))), `${path} imports ${specifier}`
        )
      } else {
        t.ok(
          Object.hasOwn(dependencies, /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? ''), `${path} imports ${specifier}`
        )
      }
    }
  }
})

t.test('the image, and the example that is made from it, run what npm start does', async t => {
  const [, command = ''] = /^CMD (\[.*\])$/m.exec(readFileSync(join(root, 'docker/Dockerfile'), 'utf8')) ?? []
  t.strictSame(JSON.parse(command), START)
  const [, combined = ''] = /proxy = start\(\s*(\[.*?\])/.exec(
    readFileSync(join(root, 'examples/confidential-space/start.mjs'), 'utf8')
  ) ?? []
  t.strictSame(JSON.parse(combined.replaceAll("'", '"')), START)
})

t.test('no Node process in a TEE opens its inspector on SIGUSR1', async t => {
  t.ok(START.includes('--disable-sigusr1'))
  const text = (path: string) => readFileSync(join(root, path), 'utf8')
  t.match(text('examples/confidential-space/Dockerfile'), /^CMD \["--disable-sigusr1", /m)
  const started = text('examples/confidential-space/start.mjs').match(/= start\(\s*\[[^\]]*\]/g) ?? []
  t.equal(started.length, 2)
  t.same(started.filter(call => !call.includes("'--disable-sigusr1'")), [])
})
