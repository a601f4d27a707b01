/** Documents are wrapped one way: prose at 120 columns. Code, tables and generated pages are excepted. */
import t from 'tap'
import { documents, read } from '../fixtures/documents.ts'

const COLUMNS = 120

for (const document of documents()) {
  const text = read(document)
  if (text.includes('<!-- Made by `npm run docs`')) continue
  const prose = text.replace(/^ *(`{3,})[^\n]*\n[\s\S]*?^ *\1\s*$/gm, block => block.replace(/[^\n]/g, ''))
    .replace(/`[^`\n]*`/g, code => code.replaceAll(' ', '_'))
  const long = prose.split('\n').flatMap((line, index) =>
    line.length > COLUMNS && /^(?! {4}|\s*[|<#]|\s*\[[^\]]+\]: )\s*(?:[-*>] |\d+\. )?.{0,118} /.test(line) ? [index + 1] : [])
  t.same(long, [], document)
}
