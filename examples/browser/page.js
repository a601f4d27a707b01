/** The page's script: what an application in a browser does. It is bundled by site.ts, as your own bundler would. */
import { createPolarisFetch } from '../../sdk/index.ts'

const baseURL = new URL(document.URL).searchParams.get('proxy')
const polarisFetch = createPolarisFetch({ baseURL: baseURL ?? '', fetch: watchedFetch })

/** Genuine hardware that runs a program which nobody has: a proxy that is not exactly that gets nothing. */
const strictFetch = createPolarisFetch({
  baseURL: baseURL ?? '',
  fetch: watchedFetch,
  attestation: { version: 1, platforms: { 'sev-snp': { measurements: ['00'.repeat(48)] } } }
})

const actions = {
  async ask (signal) {
    const response = await polarisFetch('/hello', {
      method: 'POST',
      body: JSON.stringify({ name: 'Ada' }),
      headers: { 'content-type': 'application/json', authorization: 'Bearer secret' },
      signal
    })
    show(`${response.status} ${await response.text()}`)
  },
  async count (signal) {
    const { body } = await polarisFetch('/count', { signal })
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    for (let read = await reader.read(); !read.done; read = await reader.read()) show(read.value)
  },
  async upload (signal) {
    const form = new FormData()
    const file = document.querySelector('#file').files[0]
    form.append('file', file ?? new File(['an empty choice'], 'nothing.txt'))
    show(await (await polarisFetch('/upload', { method: 'POST', body: form, signal })).text())
  },
  async attest (signal) {
    await strictFetch('/hello', { signal })
  }
}

const output = document.querySelector('#output')
const wire = document.querySelector('#wire')

function show (text) {
  output.textContent += `${text.trimEnd()}\n`
}

/** What carries the messages of the SDK, and shows them. An application leaves this out. */
async function watchedFetch (url, init = {}) {
  const { method = 'GET', body } = init
  tap(`→ ${method} ${new URL(url).pathname}`, body)
  const response = await fetch(url, init)
  tap(`← ${response.status} ${response.headers.get('content-type')}`)
  const pieces = new TransformStream({
    transform (piece, controller) {
      tap('←', piece)
      controller.enqueue(piece)
    }
  })
  return new Response(response.body?.pipeThrough(pieces), response)
}

function tap (line, octets) {
  const shown = octets instanceof Uint8Array
    ? ` ${octets.length} octets: ${Array.from(
      octets.subarray(0, 16), octet => octet.toString(16).padStart(2, '0')
    ).join(' ')} …`
    : ''
  wire.textContent += `${line}${shown}\n`
}

let running = new AbortController()
for (const [id, action] of Object.entries(actions)) {
  const button = document.querySelector(`#${id}`)
  button.disabled = baseURL === null
  button.addEventListener('click', () => {
    running.abort()
    running = new AbortController()
    const { signal } = running
    output.textContent = wire.textContent = ''
    action(signal).then(() => show('done'), error => { if (!signal.aborted) show(`${error.code}: ${error.message}`) })
  })
}
if (baseURL === null) show('Open the address that serve.ts prints: it says where the proxy is.')
