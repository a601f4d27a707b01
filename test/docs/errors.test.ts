/** docs/errors.md has every error that a client can see, and no other. */
import t from 'tap'
import { problemTypes } from '../../lib/http/problems.ts'
import { read } from '../fixtures/documents.ts'

const rows = [...read('docs/errors.md').matchAll(/^\| `([^`]+)` \| (\d{3}) \| ([^|]+) \| ([^|]+) \|$/gm)]
const documented = rows.map(([, type, status]) => `${type} ${status}`)

t.same(
  documented.toSorted(), problemTypes.map(({ type, status }) => `${type} ${status}`).toSorted(),
  'each type once, with its status'
)
for (const [, type, , meaning, advice] of rows) {
  t.ok(meaning?.trim() && advice?.trim(), `${type}: what it means, what to do`)
}
