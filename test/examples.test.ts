/** Every example that runs by itself does so, and finds that all of it holds. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root, runScript } from './fixtures/script.ts'

const scripts = readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
  .filter(path => /(?:^|[/\\])run\.ts$/.test(path))

t.ok(scripts.length > 0, 'there are examples')
for (const script of scripts) {
  t.test(script, async t => {
    const example = runScript(t, [join('examples', script)])
    t.equal(await example.ended, 0, example.output())
  })
}
