/**
 * Writes the tables of key types and of evidence into docs/keys.md and docs/attestation.md, from the registry of
 * platforms.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { settings } from '../lib/config/settings.ts'
import type { AttesterType, KeyType } from '../lib/platforms/platform.ts'
import { builtIn } from '../lib/platforms/registry.ts'

/** Documents with a table that is made, by its name in the comment in front. */
export const tables = {
  'key types': { file: 'docs/keys.md', lines: keyTable(builtIn.keyTypes) },
  evidence: { file: 'docs/attestation.md', lines: evidenceTable(builtIn.attesterTypes) }
}

function keyTable (types: readonly KeyType[]): string[] {
  return [
    '| Key type | Where the private key is | What gates it | Survives a restart | Replicas share it |',
    '| --- | --- | --- | --- | --- |',
    ...types.flatMap(({ name, places = [], seeds }) => places.map(({ way, place, gate }) => {
      const isDefault = name === settings.keyType.default ? ' (default)' : ''
      // What others can have too, replicas can derive keys from.
      const shared = seeds.length > 0 ? 'Yes' : 'No'
      return row([`\`${name}\`${isDefault}${way === undefined ? '' : `, ${way}`}`, place, gate, shared, shared])
    }))
  ]
}

function evidenceTable (types: readonly AttesterType[]): string[] {
  return [
    '| Platform | What it proves | Who is trusted | What is not proven |',
    '| --- | --- | --- | --- |',
    ...types.flatMap(({ name, proofs = [] }) => proofs.map(({ kind, proves, trusted, unproven }) =>
      row([`\`${name}\`${kind === undefined ? '' : `, ${kind}`}`, proves, trusted, unproven])))
  ]
}

function row (cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')
}

/** The document with its table as it has to be. @throws {Error} the document has no place for it */
export function withTable (markdown: string, name: string, lines: readonly string[]): string {
  const start = `<!-- Made by \`npm run docs\` from lib/platforms: ${name} -->\n`
  const [before, rest] = markdown.split(start)
  const [, after] = rest?.split('<!-- End -->') ?? []
  if (before === undefined || after === undefined) throw new Error(`No place for the table: ${name}`)
  return `${before}${start}${lines.join('\n')}\n<!-- End -->${after}`
}

if (import.meta.main) {
  for (const [name, { file, lines }] of Object.entries(tables)) {
    writeFileSync(file, withTable(readFileSync(file, 'utf8'), name, lines))
  }
}
