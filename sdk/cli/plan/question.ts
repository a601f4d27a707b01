/** The questions of `polaris plan`: answered by options, or asked at the terminal. */
import { createInterface } from 'node:readline/promises'
import { UsageError } from '../status.ts'

export interface Question {
  /** Of the answer, and of the option: `projectNumber` is `--project-number`. */
  readonly name: string
  readonly text: string
  readonly pattern: RegExp
  /** What the pattern asks for, in words. */
  readonly form: string
  readonly default?: string
}

export type Answers = Readonly<Record<string, string>>

export const IMAGE = /^[a-z0-9.-]+(?::\d+)?\/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$/
export const IMAGE_FORM = 'an image with its digest: registry.example.com/name@sha256:…'

export const optionOf = ({ name }: Question): string => `--${name.replaceAll(
  /[A-Z]/g, letter => `-${letter.toLowerCase()}`
)}`

/**
 * @param given answers that options gave
 * @param interactive whether a user can be asked; else defaults are taken
 * @throws {UsageError} an answer is missing, or has another form
 */
export async function ask (
  questions: readonly Question[], given: Readonly<Record<string, string | undefined>>, interactive: boolean
): Promise<Answers> {
  const wrong = questions.find(({ name, pattern }) => given[name] !== undefined && !pattern.test(given[name]))
  if (wrong !== undefined) throw new UsageError(`${optionOf(wrong)} has to be ${wrong.form}`)
  const open = questions.filter(({ name }) => given[name] === undefined)
  if (interactive && open.length > 0) return { ...given, ...await askAtTerminal(open) } as Answers
  const missing = open.filter(question => question.default === undefined)
  if (missing.length > 0) throw new UsageError(`missing: ${missing.map(optionOf).join(', ')}`)
  return { ...given, ...Object.fromEntries(open.map(question => [question.name, question.default])) } as Answers
}

async function askAtTerminal (questions: readonly Question[]): Promise<Answers> {
  // Standard output is for what the command writes.
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new Promise<never>(
    (resolve, reject) => terminal.once('close', () => reject(new UsageError('no more answers')))
  )
  const answers: Record<string, string> = {}
  try {
    for (const { name, text, pattern, form, default: proposal } of questions) {
      for (let answer = ''; answers[name] === undefined;) {
        answer = (await Promise.race(
          [terminal.question(`${text}${proposal === undefined ? '' : ` [${proposal}]`}: `), ended]
        )).trim()
        if (answer === '' && proposal !== undefined) answer = proposal
        if (pattern.test(answer)) answers[name] = answer
        else process.stderr.write(`  That has to be ${form}.\n`)
      }
    }
  } finally {
    ended.catch(() => undefined)
    terminal.close()
  }
  return answers
}
