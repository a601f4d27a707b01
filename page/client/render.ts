/** Shows an outcome: the verdict in one sentence, each check with its explanation, what was not checked, the keys. */
import type { Check, Verdict } from '../../sdk/attestation/index.ts'
import { element } from './dom.ts'
import { explain } from './explanations/index.ts'
import { describeKeys, toJson } from './report.ts'
import { verdictSentence } from '../../sdk/attestation/index.ts'
import { advise } from './trouble.ts'
import { savedDocument } from './verification.ts'
import type { Outcome, Question } from './verification.ts'

type Tone = 'good' | 'bad' | 'caution'

/** The heading gets the focus: `#verdict`. */
export async function render (outcome: Outcome): Promise<Node[]> {
  return outcome.kind === 'verdict' ? renderVerdict(outcome) : renderTrouble(outcome)
}

async function renderVerdict ({ verdict, at, question }: Extract<Outcome, { kind: 'verdict' }>): Promise<Node[]> {
  const { checks, verified, tee, keys } = verdict
  const of = (outcome: Check['outcome']) => checks.filter(check => check.outcome === outcome)
  const saved = savedDocument(question.files) !== undefined
  return [
    banner(...toneOf(verdict, saved), verdictSentence(verdict)),
    element('p', { class: 'when' }, `${subjectOf(question)}, ${at.toISOString()}. Kind of evidence: ${tee}.`),
    ...cautions(verdict, question, saved),
    ...list('Checks that failed', of('failed')),
    ...list('Checks that passed', of('passed')),
    ...list('What was not checked', of('skipped')),
    element('h3', {}, 'Keys'),
    element('p', {}, verified
      ? 'The evidence vouches for these keys. A client that encrypts to one of them reaches this software and nobody ' +
        'else.'
      : 'Nothing vouches for these keys: do not encrypt to them.'),
    element('ul', { class: 'keys' }, ...(await describeKeys(keys)).map(({ kind, sha256 }) =>
      element('li', {}, element('code', {}, kind), ' SHA-256 ', element('code', {}, sha256)))),
    ...limits(),
    ...await download(verdict, question, at)
  ]
}

function renderTrouble (outcome: Exclude<Outcome, { kind: 'verdict' }>): Node[] {
  const { title, sentence, steps } = advise(outcome)
  return [
    banner('caution', title, sentence),
    element('p', {}, element('code', { class: 'detail' }, outcome.message)),
    element('h3', {}, 'What you can do'),
    element('ul', {}, ...steps.map(step => element('li', {}, step)))
  ]
}

const SYMBOLS: Readonly<Record<Tone, string>> = { good: '✓', bad: '✕', caution: '!' }

function banner (tone: Tone, title: string, sentence: string): HTMLElement {
  return element('div', { class: `banner ${tone}` },
    element('span', { class: 'symbol', 'aria-hidden': 'true' }, SYMBOLS[tone]),
    element('h2', { id: 'verdict', tabindex: '-1' }, title),
    element('p', { id: 'sentence' }, sentence))
}

function toneOf ({ verified, tee, machine, software, weakenings = [] }: Verdict, saved: boolean): [Tone, string] {
  if (!verified) return ['bad', 'Refused']
  if (tee === 'simulated') return ['caution', 'Simulated evidence: nothing is proven']
  // The policy accepts it, and the sentence says what is missing.
  if (machine?.exposed !== undefined || software?.known === 'any' || weakenings.length > 0) {
    return ['caution', 'Accepted by your policy, with reservations']
  }
  return saved ? ['good', 'The saved evidence is accepted'] : ['good', 'Verified']
}

function subjectOf ({ proxy, files }: Question): string {
  const saved = files.find(file => file.kind === 'document')
  return saved ? `Saved document ${saved.name}, appraised as at` : `Asked ${proxy?.href ?? ''}`
}

function cautions ({ tee, verified }: Verdict, { policy }: Question, saved: boolean): HTMLElement[] {
  const found = [
    tee === 'simulated' && 'This proxy presents simulated evidence, which anybody can make. It is for development: ' +
      'do not send anything that matters.',
    policy.insecure === true &&
      'Your policy accepts any software ("insecure": true). A verdict by it says where something runs, not what.',
    policy.allowCached === true &&
      'Your policy accepts evidence that does not answer this question ("allowCached": true), so it may be old.',
    saved && verified &&
      'A saved document says what was running when it was saved. It is no proof about what is running now.'
  ].filter(text => text !== false)
  return found.map(text => element('p', { class: 'caution' }, text))
}

function list (title: string, checks: readonly Check[]): HTMLElement[] {
  if (checks.length === 0) return []
  return [
    element('h3', {}, `${title} (${checks.length})`),
    element('ul', { class: 'checks' }, ...checks.map(item))
  ]
}

const OUTCOMES: Readonly<Record<Check['outcome'], readonly [symbol: string, word: string]>> = {
  passed: ['✓', 'Passed'],
  failed: ['✕', 'Failed'],
  skipped: ['–', 'Not checked']
}

function item ({ name, outcome, detail }: Check): HTMLElement {
  const [symbol, word] = OUTCOMES[outcome]
  const explanation = explain(name)
  return element('li', { class: outcome, 'data-check': name },
    element('p', { class: 'name' },
      element('span', { class: 'outcome' }, element('span', { 'aria-hidden': 'true' }, `${symbol} `), word),
      ' ',
      element('code', {}, name)),
    element('p', { class: 'asks' }, explanation?.asks ?? 'A check of a verifier that this page does not know.'),
    explanation && outcome !== 'passed' && element('p', { class: 'matters' }, explanation.matters),
    element('p', {}, element('code', { class: 'detail' }, detail)))
}

function limits (): HTMLElement[] {
  return [
    element('h3', {}, 'What a verdict does not say'),
    element('ul', {},
      element('li', {}, 'That the software has no flaws, or that the hardware has none that are still unknown.'),
      element('li', {}, 'That the operator cannot see when you send something, and how much.'),
      element('li', {}, 'That the application behind the proxy is honest, unless your policy names it too.'))
  ]
}

async function download (verdict: Verdict, question: Question, at: Date): Promise<HTMLElement[]> {
  const json = await toJson(verdict, question, at)
  const link = element('a', { download: 'verdict.json' }, 'Save as verdict.json')
  link.href = URL.createObjectURL(new Blob([json], { type: 'application/json' }))
  return [
    element('h3', {}, 'The same for machines'),
    element(
      'details', {}, element('summary', {}, 'Verdict as JSON'),
      element('pre', { tabindex: '0', 'aria-label': 'Verdict as JSON' }, json)
    ),
    element('p', {}, link)
  ]
}
