/**
 * Wraps the prose of all Markdown documents at 120 columns, as `npm run docs` does. Code, tables, headings and comments
 * stay as they are, and so do code spans, which tests look for.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const COLUMNS = 120
/** At the start of a line, these would begin something else than text. */
const MARKER = /^(?:[-+*>]|\d+[.)]|#{1,6}|\|.*|=+|`{3,}.*)$/

interface Paragraph {
  readonly first: string
  readonly next: string
  readonly lines: string[]
}

export function wrapped (markdown: string): string {
  const out: string[] = []
  let paragraph: Paragraph | undefined
  /** What ends the block that is copied as it is. */
  let until: RegExp | undefined
  const flush = () => {
    if (paragraph !== undefined) out.push(...fill(paragraph))
    paragraph = undefined
  }
  for (const line of markdown.split('\n')) {
    const text = line.trim()
    if (until !== undefined) {
      out.push(line)
      if (until.test(text)) until = undefined
      continue
    }
    const [indent = ''] = /^ */.exec(line) ?? []
    const [item, mark] = /^ *((?:[-*+]|\d+[.)]) +)/.exec(line) ?? []
    const [fence] = /^(`{3,}|~{3,})/.exec(text) ?? []
    if (fence !== undefined) until = new RegExp(`^${fence}$`)
    else if (text.startsWith('<!--') && !text.includes('-->')) until = /-->/
    const code = indent.length >= 4 && paragraph === undefined && !isInList(out)
    if (text === '' || until !== undefined || code || /^(?:\||#{1,6} |<|\[[^\]]+\]: )/.test(text)) {
      flush()
      out.push(text === '' ? '' : line)
    } else if (item !== undefined && mark !== undefined) {
      flush()
      paragraph = { first: item, next: ' '.repeat(item.length), lines: [line.slice(item.length)] }
    } else if (text.startsWith('>')) {
      if (paragraph?.first !== '> ') flush()
      paragraph ??= { first: '> ', next: '> ', lines: [] }
      paragraph.lines.push(text.replace(/^> ?/, ''))
    } else {
      paragraph ??= { first: indent, next: indent, lines: [] }
      paragraph.lines.push(text)
    }
  }
  flush()
  return out.join('\n')
}

function fill ({ first, next, lines }: Paragraph): string[] {
  const out: string[] = []
  let line = first
  for (const word of words(lines.join(' '))) {
    if (line === first) line += word
    else if (line.length + 1 + word.length <= COLUMNS || MARKER.test(word)) line += ` ${word}`
    else {
      out.push(line)
      line = next + word
    }
  }
  return [...out, line]
}

/** Code spans are not broken. */
function words (text: string): string[] {
  return text.match(/(?:(`+)(?!`)(?:(?!\1).)*\1|\S)+/g) ?? []
}

/** Whether the text so far ends in an item of a list, to which what is indented belongs. */
function isInList (lines: readonly string[]): boolean {
  const last = lines.findLast(line => line.trim() !== '' && !line.startsWith('  '))
  return last !== undefined && /^(?:[-*+]|\d+[.)]) /.test(last)
}

if (import.meta.main) {
  const list = execFileSync('git', ['ls-files', '-z', '*.md'], { encoding: 'utf8' })
  for (const path of list.split('\0').filter(path => path !== '')) {
    const text = readFileSync(path, 'utf8')
    if (wrapped(text) !== text) writeFileSync(path, wrapped(text))
  }
}
