/** docs/sdk.md has one table of all error codes that the SDK throws, and no others. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '../..')
/** Codes that only occur as the `cause` of another error. */
const INNER = /^ERR_(?:BHTTP|OHTTP)_/
/** Node's and undici's own. */
const PLATFORM = new Set(['ERR_SOCKET_CONNECTION_TIMEOUT', 'ERR_TLS_'])

/** The command has exit statuses instead, and what a verifier of one platform throws becomes a failed check. */
function sources (folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !/^(?:cli|proxy|dist)\b|^attestation\/\w+\//.test(name))
    .map(name => readFileSync(join(root, folder, name), 'utf8'))
}

t.test('every code of the SDK is in the table, and the table has no others', async t => {
  const inCode = new Set([...sources('sdk'), ...sources('lib/protocols')]
    .flatMap(source => [...source.matchAll(/'(ERR_[A-Z\d_]+)'/g)].map(([, code]) => code!))
    .filter(code => !INNER.test(code) && !PLATFORM.has(code)))
  const [, chapter = ''] = readFileSync(join(root, 'docs/sdk.md'), 'utf8').split('\n## Errors\n')
  const rows = chapter.split('\n## ')[0]!.split('\n').filter(line => line.startsWith('| `ERR_'))
  const documented = rows.flatMap(
    row => [...row.split('|')[1]!.matchAll(/`(ERR_[A-Z\d_]+)`/g)].map(([, code]) => code!)
  )
  t.strictSame(documented.toSorted(), [...new Set(documented)].toSorted(), 'each once')
  t.strictSame(documented.toSorted(), [...inCode].toSorted())
})
