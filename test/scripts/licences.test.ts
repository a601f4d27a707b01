// Whoever receives the image or the SDK receives all of this under the terms of the AGPL-3.0. A licence that is not
// in the list is not forbidden: somebody has to read it first.
import t from 'tap'
import { runtimePackages } from '../../scripts/lockfile.ts'

// Permissive, or expressly compatible with version 3 of the GPL family.
const compatible = new Set([
  '0BSD', 'AGPL-3.0-only', 'AGPL-3.0-or-later', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0',
  'CC0-1.0', 'GPL-3.0-only', 'GPL-3.0-or-later', 'ISC', 'LGPL-3.0-only', 'LGPL-3.0-or-later', 'MIT', 'MIT-0',
  'MPL-2.0', 'Unlicense', 'Zlib'
])

for (const [root, name] of [['', 'the image'], ['sdk', 'the SDK']] as const) {
  t.test(`every package that ${name} needs at run time has a licence that the AGPL-3.0 can include`, async t => {
    const packages = runtimePackages(root)
    t.ok(packages.length > 3)
    t.same(
      packages.filter(({ license }) => !compatible.has(license)).map(({ path, license }) => `${path}: ${license}`), []
    )
  })
}
