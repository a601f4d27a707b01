/** Documents are wrapped one way: prose at 120 columns (`npm run docs`). Code, tables and headings are excepted. */
import t from 'tap'
import { wrapped } from '../../scripts/wrap.ts'
import { documents, read } from '../fixtures/documents.ts'

const COLUMNS = 120

t.test('no document has a line that `npm run docs` would break', async t => {
  for (const document of documents()) {
    const text = read(document)
    const kept = new Set(wrapped(text).split('\n'))
    t.same(
      text.split('\n').filter(line => line.length > COLUMNS && !kept.has(line)), [], `${document}: run \`npm run docs\``
    )
  }
})

const long = 'word '.repeat(40).trim()
const cases: Array<[name: string, markdown: string, expected: string]> = [
  ['a paragraph', long, `${'word '.repeat(24).trim()}\n${'word '.repeat(16).trim()}`],
  ['an item keeps its indentation', `- ${long}`, `- ${'word '.repeat(23).trim()}\n  ${'word '.repeat(17).trim()}`],
  ['code', `\`\`\`\n${long}\n\`\`\``, `\`\`\`\n${long}\n\`\`\``],
  ['indented code', `Text\n\n    ${long}`, `Text\n\n    ${long}`],
  ['a table', `| ${long} |`, `| ${long} |`],
  ['a heading', `# ${long}`, `# ${long}`],
  ['a code span', `\`${long}\``, `\`${long}\``],
  ['short lines are joined', 'one\ntwo', 'one two'],
  ['a dash does not begin a line', `${'x'.repeat(119)} - y`, `${'x'.repeat(119)} -\ny`]
]
for (const [name, markdown, expected] of cases) t.equal(wrapped(markdown), expected, name)
