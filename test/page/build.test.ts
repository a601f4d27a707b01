/**
 * The page as a file: the same bytes each time, nothing beside it, and an explanation for each check that verifiers
 * make.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildPage } from '../../page/build.ts'
import { explanations } from '../../page/client/explanations/index.ts'
import { read } from '../fixtures/documents.ts'
import { root } from '../fixtures/script.ts'

const { html, sha256 } = await buildPage()

t.test('the same sources give the same bytes', async t => {
  t.equal((await buildPage()).html, html)
  t.equal(createHash('sha256').update(html).digest('hex'), sha256)
  t.notOk(html.includes(root), 'nothing names the folder it was built in')
})

t.test('it is one file: one script and one style, which its policy names by their hashes, and nothing is ' +
  'loaded', async t => {
  const inline = (name: string) => [
    ...html.matchAll(new RegExp(`<${name}>([^]*?)</${name}>`, 'g'))
  ].map(([, text = '']) => text)
  for (const [name, directive] of [['script', 'script-src'], ['style', 'style-src']] as const) {
    const texts = inline(name)
    t.equal(texts.length, 1, name)
    const hash = createHash('sha256').update(texts[0] ?? '').digest('base64')
    t.ok(html.includes(`; ${directive} 'sha256-${hash}';`), directive)
  }
  const markup = html.replace(/<script>[^]*<\/script>/, '').replace(
    /<style>[^]*<\/style>/, ''
  ).replace(/<pre[^]*?<\/pre>/g, '')
  t.same(markup.match(/\s(?:src|srcset|on\w+|style|action)=/g) ?? [], [], 'no inline handlers, no inline styles')
  t.same(markup.match(/\shref="(?!data:,")[^"]*"/g) ?? [], [])
  t.ok(Buffer.byteLength(html) < 1_000_000, `${Buffer.byteLength(html)} bytes`)
})

t.test('it names the licences of what it contains', async t => {
  t.match(html, /\njose \d+\.\d+\.\d+, MIT\n/)
  t.match(html, /Permission is hereby granted, free of charge/)
})

/** Names of checks, as the verifiers' sources write them. */
function checksIn (folder: string): string[] {
  const files = readdirSync(
    join(root, folder), { recursive: true, encoding: 'utf8' }
  ).filter(name => name.endsWith('.ts'))
  return files.flatMap(file => {
    const code = readFileSync(join(root, folder, file), 'utf8').replace(/\/\*\*[^]*?\*\//g, '')
    const named = code.matchAll(
      /\b(?:check|skipped|oneOfCheck|formedCheck)\(\s*'([a-z\d-]+)'|\b(?:const name|NAME) = '([a-z\d-]+)'/g
    )
    return [...named].map(([, called, constant]) => called ?? constant ?? '')
  })
}

t.test('each check that the verifiers make is explained, and each that the documents list', async t => {
  const made = [...new Set(checksIn('sdk/attestation'))].sort()
  t.ok(made.length > 60, `${made.length}`)
  t.same(made.filter(name => !Object.hasOwn(explanations, name)), [], 'explain these in page/client/explanations')
  const [, table = ''] = read('docs/attestation-policy.md').split('\n| Check | Platforms | Passes if |\n')
  const listed = [...table.matchAll(/^\| ((?:`[a-z-]+`(?:, )?)+) \|/gm)]
    .flatMap(([, names = '']) => [...names.matchAll(/`([a-z-]+)`/g)].map(([, name = '']) => name))
  t.ok(listed.length > 60, `${listed.length}`)
  t.same(listed.filter(name => !Object.hasOwn(explanations, name)), [])
  for (const [name, { asks, matters }] of Object.entries(explanations)) {
    t.match(asks, /^[A-Z].*\?$/, name)
    t.match(matters, /^[A-Z].*\.$/, name)
  }
})
