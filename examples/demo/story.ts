/** Tells the demo on the terminal, and keeps count of what was verified. */
import { styleText } from 'node:util'
import type { Stage } from './stage.ts'

/** One protocol, shown from end to end. */
export type Chapter = (stage: Stage, story: Story) => Promise<void>

export interface Story {
  chapter (title: string): void
  part (title: string): void
  say (text: string): void
  /** Something as it is: what was sent, seen, received. */
  quote (lines: readonly string[]): void
  /** A claim, and whether it holds. */
  check (claim: string, holds: boolean): void
  readonly failed: readonly string[]
  readonly checked: number
}

type Style = Parameters<typeof styleText>[0]

export function createStory (out: NodeJS.WriteStream): Story {
  const failed: string[] = []
  let checked = 0
  let part = 0
  // Only where a person looks at it; styleText heeds NO_COLOR and its kin itself.
  const styled = (style: Style, text: string) => out.isTTY ? styleText(style, text, { stream: out }) : text
  const line = (text = '') => out.write(`${text}\n`)

  return {
    chapter (title) {
      part = 0
      line()
      line(styled('bold', title))
      line(styled('dim', '='.repeat(title.length)))
    },
    part (title) {
      line()
      line(styled(['bold', 'cyan'], `${++part}. ${title}`))
    },
    say (text) { line(`   ${text}`) },
    quote (lines) { for (const text of lines) line(`   ${styled('dim', '|')} ${text}`.trimEnd()) },
    check (claim, holds) {
      checked++
      if (!holds) failed.push(claim)
      line(`   ${holds ? styled('green', '✓') : styled('red', '✗')} ${claim}`)
    },
    get failed () { return failed },
    get checked () { return checked }
  }
}

const WIDTH = 88

/**
 * What an HTTP message looks like on the wire: the head line by line, long values cut, and the beginning of the body.
 */
export function wireExcerpt (octets: Buffer, rows = 5): string[] {
  const end = octets.indexOf('\r\n\r\n')
  const head = octets.subarray(0, Math.max(0, end)).toString('latin1').split('\r\n')
  const body = octets.subarray(end + 4)
  return [...head.map(cut), '', ...hexdump(body, rows)]
}

function cut (text: string): string {
  const note = `… (${text.length} characters)`
  return text.length <= WIDTH ? text : text.slice(0, WIDTH - note.length) + note
}

function hexdump (octets: Buffer, rows: number): string[] {
  const lines: string[] = []
  for (let at = 0; at < octets.length && lines.length < rows; at += 16) {
    const row = octets.subarray(at, at + 16)
    const hex = row.toString('hex').replace(/..(?!$)/g, '$& ').padEnd(47)
    lines.push(`${at.toString(16).padStart(4, '0')}  ${hex}  ${row.toString('latin1').replace(/[^\x20-\x7e]/g, '.')}`)
  }
  const left = octets.length - lines.length * 16
  return left > 0 ? [...lines, `… and ${left} octets more`] : lines
}
