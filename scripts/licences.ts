/**
 * Writes a table of the licences of everything that the image and the SDK need at run time to standard output.
 * usage: node scripts/licences.ts
 */
import { runtimePackages } from './lockfile.ts'

const packages = new Map([...runtimePackages(''), ...runtimePackages('sdk')].map(entry => [`${entry.name} ${entry.version}`, entry]))
const rows = [...packages.values()].map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`)
process.stdout.write(['| Package | Version | Licence |', '| --- | --- | --- |', ...rows, ''].join('\n'))
