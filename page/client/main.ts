/**
 * The page's script: form in, outcome out. Nothing is asked before the button is pressed, whatever the link brought.
 */
import { byId, element } from './dom.ts'
import { describe, FileError, recognise } from './files.ts'
import type { GivenFile } from './files.ts'
import { InputError, parseNonce, parsePolicy, parseProxy, parseTime, readFragment } from './question.ts'
import { render } from './render.ts'
import { savedDocument, verify } from './verification.ts'
import type { Question } from './verification.ts'

const SERVED_PATH = '/polaris-container/verify'

const form = byId('form', HTMLFormElement)
const proxy = byId('proxy', HTMLInputElement)
const policy = byId('policy', HTMLTextAreaElement)
const policyFile = byId('policy-file', HTMLInputElement)
const files = byId('files', HTMLInputElement)
const nonce = byId('nonce', HTMLInputElement)
const at = byId('at', HTMLInputElement)
const button = byId('verify', HTMLButtonElement)
const status = byId('status', HTMLElement)
const result = byId('result', HTMLElement)
const fields = { proxy, policy, nonce, at, files }

let given: readonly GivenFile[] = []
let busy = false

form.addEventListener('submit', event => {
  event.preventDefault()
  if (!busy) submit()
})
policyFile.addEventListener('change', () => { readPolicyFile() })
files.addEventListener('change', () => { readFiles() })
addEventListener('hashchange', prefill)
prefill()
tellWhereFrom()
if (!isSecureContext) {
  complain(
    'proxy',
    'This page was opened over http://, where browsers do without cryptography. Open it over https://, or from a file.'
  )
}

async function submit (): Promise<void> {
  for (const name of Object.keys(fields) as Array<keyof typeof fields>) complain(name, '')
  result.hidden = true
  setBusy(true)
  try {
    const outcome = await verify(readForm())
    result.replaceChildren(...await render(outcome))
    result.hidden = false
    byId('verdict', HTMLElement).focus()
    status.textContent = ''
  } catch (error) {
    if (error instanceof InputError) refuse(error.field, error.message)
    else if (error instanceof FileError) refuse('files', `${error.message}.`)
    else {
      status.textContent = `This page has a fault, please report it: ${error instanceof Error
        ? error.message
        : String(error)}`
      throw error
    }
  } finally {
    setBusy(false)
  }
}

/** @throws {InputError | FileError} */
function readForm (): Question {
  const saved = savedDocument(given) !== undefined
  return {
    proxy: saved ? undefined : parseProxy(proxy.value),
    policy: parsePolicy(policy.value),
    files: given,
    nonce: saved ? parseNonce(nonce.value) : undefined,
    at: parseTime(at.value)
  }
}

/** The button keeps the focus, so that a keyboard user is not thrown back to the top of the page. */
function setBusy (now: boolean): void {
  busy = now
  button.setAttribute('aria-disabled', String(now))
  if (now) status.textContent = 'Asking for evidence and checking it…'
}

function refuse (field: keyof typeof fields, message: string): void {
  complain(field, message)
  status.textContent = 'Nothing was asked: see the field that is marked.'
  byId('offline', HTMLDetailsElement).open ||= field === 'files' || field === 'nonce' || field === 'at'
  fields[field].focus()
}

/** @param message empty: nothing is wrong */
function complain (field: keyof typeof fields, message: string): void {
  byId(`${field}-error`, HTMLElement).textContent = message
  if (message === '') fields[field].removeAttribute('aria-invalid')
  else fields[field].setAttribute('aria-invalid', 'true')
}

/** What counts is what stands in the text field, where it can be read. */
async function readPolicyFile (): Promise<void> {
  const [file] = policyFile.files ?? []
  if (file === undefined) return
  policy.value = await file.text()
  complain('policy', '')
  status.textContent = `The policy is the content of ${file.name} now.`
}

async function readFiles (): Promise<void> {
  complain('files', '')
  try {
    given = await Promise.all(
      [...files.files ?? []].map(async file => recognise(file.name, new Uint8Array(await file.arrayBuffer())))
    )
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    given = []
    files.value = ''
    complain('files', `${error.message}.`)
  }
  byId('recognised', HTMLElement).replaceChildren(...given.map(file =>
    element('li', {}, element('strong', {}, file.name), `: ${describe(file)}`)))
}

function prefill (): void {
  const link = readFragment(location.hash)
  if (link.proxy !== undefined) proxy.value = link.proxy
  if (link.policy !== undefined) policy.value = link.policy
  byId('from-link', HTMLElement).hidden = link.policy === undefined
}

/** A page that the proxy itself serves could say anything. */
function tellWhereFrom (): void {
  if (!location.pathname.endsWith(SERVED_PATH)) return
  byId('served', HTMLElement).hidden = false
  byId('served-by', HTMLElement).textContent = location.host
  if (proxy.value === '') proxy.value = location.origin + location.pathname.slice(0, -SERVED_PATH.length)
}
