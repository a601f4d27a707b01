// What people use, told nothing but a base URL, through polaris proxy against a proxy that demands encryption: the
// answers are those of a direct call, and what the network sees holds nothing of them.
import t from 'tap'
import type { Test } from 'tap'
import { QUESTION, SECRET, runClient, startChain, startModel } from './fixtures/chain.ts'
import { absent, tools } from './fixtures/tools.ts'

t.setTimeout(300_000)

interface Streamed { echo: string, authorization: string, events: number, last: string }

const withoutPython = absent(tools.python)
if (withoutPython !== undefined) {
  t.pass('clients', { skip: withoutPython })
} else {
  const direct = await startModel(t)
  const { local, wire } = await startChain(t, direct)
  const words = `You asked: ${QUESTION}`.split(' ').map(word => `${word} `)

  /** Straight to the workload, then through the encryption. */
  const both = async <T>(command: readonly string[], env?: Record<string, string>) => {
    const [plain, encrypted] = await Promise.all(
      [runClient<T>(command, direct, env), runClient<T>(command, local, env)]
    )
    return { plain, encrypted }
  }

  const streams = (name: string, command: readonly string[], missing?: string) => {
    t.test(`${name}: a body, a header, and an event stream`, missing ? { skip: missing } : {}, async t => {
      const { plain, encrypted } = await both<Streamed>(command)
      t.same(encrypted, plain)
      t.same(
        encrypted, { echo: QUESTION, authorization: `Bearer ${SECRET}`, events: words.length + 2, last: 'data: [DONE]' }
      )
    })
  }

  t.test('Python openai: a chat, whole and streamed, an embedding bit for bit, and a file', async t => {
    const { plain, encrypted } = await both<{
      chat: string, pieces: string[], vector: number[], file: [string, number, string]
    }>([tools.python, 'python/with_openai.py'])
    t.same(encrypted, plain)
    t.equal(encrypted.chat, words.join(''))
    t.same(encrypted.pieces, words, 'piece by piece')
    t.equal(encrypted.vector.length, 384)
    t.equal(encrypted.file[1], Buffer.byteLength(QUESTION) * 5000)
  })

  streams('Python httpx', [tools.python, 'python/with_httpx.py'])

  t.test('Python requests: methods, a body of a megabyte, a form', async t => {
    const { plain, encrypted } = await both<object>([tools.python, 'python/with_requests.py'])
    t.same(encrypted, plain)
    t.same(encrypted, {
      same: true,
      method: 'PUT',
      authorization: `Bearer ${SECRET}`,
      empty: [200, 0],
      file: [Buffer.byteLength(QUESTION) * 30000, 'notes.txt']
    })
  })

  streams('Go net/http', [tools.go], absent(tools.go))
  streams('Java HttpClient', [
    'java', '-Dfile.encoding=UTF-8', '-Dstdout.encoding=UTF-8', '-Dsun.jnu.encoding=UTF-8', '-cp', tools.java, 'Client'
  ], absent(`${tools.java}/Client.class`))

  for (const [name, file] of [
    ['openai in Node', 'with-openai.ts'], ['@anthropic-ai/sdk in Node', 'with-anthropic.ts']
  ] as const) {
    t.test(`${name}: a chat, whole and streamed`, async t => {
      const { plain, encrypted } = await both<{ chat: string, pieces: string[] }>([process.execPath, `node/${file}`])
      t.same(encrypted, plain)
      t.same(encrypted, { chat: words.join(''), pieces: words })
    })
  }

  t.test('curl: a body and a header', async t => {
    const answer = await runClient<{
      code: number, size: number
    }>(['curl', '--silent', '--show-error', '--fail', '--data-raw', QUESTION,
      '--header', `authorization: Bearer ${SECRET}`, '--output', '/dev/null', '--write-out',
      '{"code":%{http_code},"size":%{size_download}}', `${local}/echo`], local)
    t.same(answer, { code: 200, size: Buffer.byteLength(QUESTION) })
  })

  t.test('what crosses the network holds nothing of it', async t => {
    holdsNothing(t, Buffer.concat([wire.sent(), wire.received()]))
  })
}

function holdsNothing (t: Test, seen: Buffer): void {
  t.ok(seen.length > 1_000_000, `${seen.length} bytes were seen`)
  for (const secret of [
    SECRET, QUESTION, 'treasure', 'You asked', '/v1/chat', '/echo', 'notes.txt', 'chat.completion', 'minilm'
  ]) {
    t.notOk(seen.includes(secret), secret)
  }
}
