/** The page's script: what an application in a browser does. It is bundled by site.ts, as your own bundler would. */
import { createPolarisFetch } from '../../sdk/index.ts'

const baseURL = new URL(document.URL).searchParams.get('proxy') ?? ''
const polarisFetch = createPolarisFetch({ baseURL })

/** Genuine hardware that runs a program which nobody has: a proxy that is not exactly that gets nothing. */
const strictFetch = createPolarisFetch({
  baseURL,
  attestation: { version: 1, platforms: { 'sev-snp': { measurements: ['00'.repeat(48)] } } }
})

const actions = {
  async ask () {
    const response = await polarisFetch('/hello', { method: 'POST', body: JSON.stringify({ name: 'Ada' }), headers: { 'content-type': 'application/json', authorization: 'Bearer secret' } })
    show(`${response.status} ${await response.text()}`)
  },
  async count () {
    const { body } = await polarisFetch('/count')
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    for (let read = await reader.read(); !read.done; read = await reader.read()) show(read.value)
  },
  async upload () {
    const form = new FormData()
    const file = document.querySelector('#file').files[0]
    form.append('file', file ?? new File(['an empty choice'], 'nothing.txt'))
    show(await (await polarisFetch('/upload', { method: 'POST', body: form })).text())
  },
  async attest () {
    await strictFetch('/hello')
  }
}

const output = document.querySelector('#output')

function show (text) {
  output.textContent += `${text.trimEnd()}\n`
}

for (const [id, action] of Object.entries(actions)) {
  document.querySelector(`#${id}`).addEventListener('click', () => {
    output.textContent = ''
    action().then(() => show('done'), error => show(`${error.code}: ${error.message}`))
  })
}
