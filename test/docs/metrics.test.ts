/** docs/metrics.md has every metric, as it is, and every value that a label can have. */
import t from 'tap'
import { definitions } from '../../lib/metrics/catalogue.ts'
import { WORKLOAD_ERRORS } from '../../lib/metrics/passage.ts'
import { read } from '../fixtures/documents.ts'

const page = read('docs/metrics.md')

t.test('each metric has its row, and no row is of another', async t => {
  const rows = Object.values(definitions).map(({ name, type, labels, help }) =>
    `| \`${name}\` | ${type} | ${labels.map(label => `\`${label}\``).join(', ')} | ${help} |`)
  t.strictSame(page.split('\n').filter(line => line.startsWith('| `polaris_')), rows)
})

t.test('names and labels follow the rules of Prometheus', async t => {
  for (const { name, type, labels, buckets = [] } of Object.values(definitions)) {
    t.match(name, /^polaris_[a-z_]+[a-z]$/)
    t.equal(type === 'counter', name.endsWith('_total'), name)
    if (type === 'histogram') t.match(name, /_seconds$/)
    t.notMatch(name, /_(?:ms|milliseconds|kb|mb|minutes)\b/)
    t.strictSame(buckets, [...buckets].sort((a, b) => a - b), name)
    for (const label of labels) t.ok(page.includes(`| \`${label}\``) || page.includes(`, \`${label}\``), label)
  }
})

t.test('each kind of error has its place', async t => {
  for (const kind of WORKLOAD_ERRORS) t.ok(page.includes(`\`${kind}\``), kind)
})
