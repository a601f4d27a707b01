/**
 * Writes a table of the licences of everything that the image and the SDK need at run time to standard output.
 *
 * usage: node scripts/licences.ts [<OCI layout>]
 *
 * With a layout, as docker/build.sh writes it: also of Node and the Debian packages of that image's base.
 */
import { readImageContents } from './image-contents.ts'
import { buildPage } from '../page/build.ts'
import { lockedPackages, runtimePackages } from './lockfile.ts'

const [layout] = process.argv.slice(2)
const rows: [name: string, version: string, licence: string][] = []
if (layout !== undefined) {
  const { node, debian } = readImageContents(layout)
  rows.push(['Node', node, 'MIT, and those of what it includes'])
  for (const { name, version, architecture, licences } of debian) {
    rows.push([`${name} (Debian, ${architecture})`, version, licences.join(', ') || `/usr/share/doc/${name}/copyright`])
  }
}
const packages = new Map([
  ...runtimePackages(''), ...runtimePackages('sdk'), ...lockedPackages((await buildPage()).packages)
].map(entry => [`${entry.name} ${entry.version}`, entry]))
for (const { name, version, license } of packages.values()) rows.push([name, version, license])
process.stdout.write([
  '| Package | Version | Licence |', '| --- | --- | --- |', ...rows.map(row => `| ${row.join(' | ')} |`), ''
].join('\n'))
