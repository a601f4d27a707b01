/**
 * The tables of docs/keys.md and docs/attestation.md are what the registry of platforms says, and leave no platform
 * out.
 */
import t from 'tap'
import { builtIn } from '../../lib/platforms/registry.ts'
import { tables, withTable } from '../../scripts/platform-tables.ts'
import { read } from '../fixtures/documents.ts'

for (const [name, { file, lines }] of Object.entries(tables)) {
  t.test(`${file} is up to date: npm run docs`, async t => {
    t.equal(read(file), withTable(read(file), name, lines))
  })
}

t.test('every key type and every kind of evidence is described', async t => {
  for (const { name, places = [] } of builtIn.keyTypes) t.ok(places.length > 0, name)
  for (const { name, proofs = [] } of builtIn.attesterTypes) t.ok(proofs.length > 0, name)
})

t.test('a document without a place for its table is an error', async t => {
  t.throws(() => withTable('# Keys\n', 'key types', []), /No place/)
})
