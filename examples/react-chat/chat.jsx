/**
 * The chat: a lock above, messages below. No prompt is sent before the proxy has proven itself, nor after it cannot any
 * more.
 */
import { StrictMode, useEffect, useState, useSyncExternalStore } from 'react'
import { createRoot } from 'react-dom/client'
import { verdictSentence } from '../../sdk/attestation/index.ts'
import { createLock } from './lock.js'

const settings = await (await fetch('/settings.json')).json()
const lock = createLock(settings)

function useLock () {
  useEffect(() => lock.keep(), [])
  return useSyncExternalStore(lock.subscribe, lock.snapshot)
}

const TITLES = {
  waiting: '⏳ Asking the proxy to prove itself…',
  locked: '🔒 Proven',
  open: '🔓 Not proven: prompts are not sent'
}

function Lock ({ state, verdict, error }) {
  return (
    <details className={`lock ${state}`}>
      <summary>
        <span role='status'>{TITLES[state]}</span>
      </summary>
      {verdict && <p>{verdictSentence(verdict)}</p>}
      {error && <p>{error.message}</p>}
      {verdict && (
        <ul>
          {verdict.checks.map(({ name, outcome, detail }) => (
            <li key={name}><b>{outcome}</b> <code>{name}</code> {detail}</li>
          ))}
        </ul>
      )}
    </details>
  )
}

function Chat () {
  const status = useLock()
  const [messages, setMessages] = useState([])
  const [prompt, setPrompt] = useState('')
  const add = message => setMessages(messages => [...messages, message])
  const replaceLast = message => setMessages(messages => [...messages.slice(0, -1), message])

  async function send (event) {
    event.preventDefault()
    if (prompt === '' || status.state !== 'locked') return
    add({ from: 'you', text: prompt })
    add({ from: 'model', text: '' })
    setPrompt('')
    try {
      const response = await lock.polarisFetch('/chat', { method: 'POST', body: JSON.stringify({ prompt }) })
      const words = response.body.pipeThrough(new TextDecoderStream()).getReader()
      let text = ''
      for (let read = await words.read(); !read.done; read = await words.read()) {
        text += read.value
        replaceLast({ from: 'model', text })
      }
    } catch (error) {
      replaceLast({ from: 'error', text: error.message })
    }
  }

  return (
    <>
      <h1>Chat</h1>
      <Lock {...status} />
      <ol aria-live='polite'>
        {messages.map(({ from, text }, index) => <li key={index} className={from}>{text}</li>)}
      </ol>
      <form onSubmit={send}>
        <input aria-label='Prompt' value={prompt} onChange={({ target }) => setPrompt(target.value)} />
        <button disabled={status.state !== 'locked'}>Send</button>
      </form>
    </>
  )
}

createRoot(document.querySelector('#root')).render(<StrictMode><Chat /></StrictMode>)
