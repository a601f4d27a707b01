/** docs/request-life.md has every hook that a request meets, and names only problems that exist. */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { problemTypes } from '../../lib/http/problems.ts'
import { read } from '../fixtures/documents.ts'
import { root } from '../fixtures/script.ts'

const page = read('docs/request-life.md')

t.test('every plugin with a hook for requests has its place', async t => {
  const plugins = readdirSync(
    `${root}/plugins`, { recursive: true, encoding: 'utf8' }
  ).filter(name => name.endsWith('.ts'))
  const hooked = plugins.filter(name => /addHook\('on(?:Request|Send|Response|Error)'/.test(read(`plugins/${name}`)))
  t.ok(hooked.length > 4)
  for (const name of hooked) t.ok(page.includes(`](../plugins/${name})`), name)
})

t.test('the hooks of the route are the steps', async t => {
  const [, pipeline = ''] = /const pipeline = \{([\s\S]*?)\n {2}\}/.exec(read('routes/proxy.ts')) ?? []
  const steps = [...pipeline.matchAll(/^ {4}(onRequest|preParsing|handler|onSend): (\w+)/gm)].map(([, hook]) => hook)
  t.same(steps, ['onRequest', 'preParsing', 'handler', 'onSend'])
  const headings = [...page.matchAll(/^### \d+\. (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase())
  for (const hook of steps) t.ok(headings.some(heading => heading.startsWith(hook!.toLowerCase())), hook!)
})

t.test('each answer is a problem with that status', async t => {
  const known = new Set(problemTypes.map(({ type, status }) => `${status} ${type.replace(/^.*[:#]/, '')}`))
  const named = [...page.matchAll(/\b([45]\d\d) `([a-z-]+)`/g)].map(([, status, code]) => `${status} ${code}`)
  t.ok(named.length > 10)
  for (const answer of named) t.ok(known.has(answer), answer)
})
