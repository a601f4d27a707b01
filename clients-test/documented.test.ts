// docs/clients.md: each line that it tells people to change is what a client of the suite runs with.
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { QUESTION, SECRET, startChain, startModel } from './fixtures/chain.ts'
import { absent, tools } from './fixtures/tools.ts'

t.setTimeout(300_000)

const page = readFileSync(new URL('../docs/clients.md', import.meta.url), 'utf8')
const lines = new Map([...page.matchAll(/^\| ([^|]+) \| `(.+)` \|$/gm)].map(([, name = '', line = '']) => [name, line]))
const chat = { model: 'tiny', messages: [{ role: 'user', content: 'why' }] }

/** What makes a program of each line. It prints what was answered. */
const programs: Record<string, {
  file: string, command: readonly string[], text: (line: string) => string, expected: string
}> = {
  'Anything with the OpenAI client, in any language': {
    file: 'openai.sh',
    command: ['sh'],
    text: line =>
      `${line}\nexec "$PYTHON" -c "from openai import OpenAI; print(OpenAI(api_key='x').chat.completions.create(` +
        "model='tiny', messages=[{'role': 'user', 'content': 'why'}]).choices[0].message.content)\"",
    expected: 'You asked: why'
  },
  'Python `openai`': {
    file: 'openai_line.py',
    command: [tools.python],
    text: line => `from openai import OpenAI\n${line}\nprint(client.chat.completions.create(model='tiny', ` +
      "messages=[{'role': 'user', 'content': 'why'}]).choices[0].message.content)",
    expected: 'You asked: why'
  },
  'Python `httpx`': {
    file: 'httpx_line.py',
    command: [tools.python],
    text: line => `import httpx\n${line}\nprint(client.post('/echo', content='why').text)`,
    expected: 'why'
  },
  'Python `requests`': {
    file: 'requests_line.py',
    command: [tools.python],
    text: line => `import requests\nquestion = 'why'\nprint(${line}.text)`,
    expected: 'why'
  },
  'Go `net/http`': {
    file: 'main.go',
    command: ['go', 'run'],
    text: line =>
      'package main\n\nimport (\n\t"io"\n\t"net/http"\n\t"os"\n\t"strings"\n)\n\nfunc main() {\n\tbody := ' +
        `strings.NewReader("why")\n\tresponse, err := ${line}\n\tif err != nil ` +
          '{\n\t\tpanic(err)\n\t}\n\tio.Copy(os.Stdout, response.Body)\n}\n',
    expected: 'why'
  },
  'Java `HttpClient`': {
    file: 'Line.java',
    command: ['java'],
    text: line =>
      'import java.net.URI;\nimport java.net.http.*;\npublic class Line { public static void main(String[] args) ' +
        `throws Exception {\n  var request = ${line}.POST(HttpRequest.BodyPublishers.ofString("why")).build();\n  ` +
          'System.out.println(HttpClient.newHttpClient().send(request, ' +
            'HttpResponse.BodyHandlers.ofString()).body());\n} }',
    expected: 'why'
  },
  'Node `openai`': {
    file: 'openai-line.mjs',
    command: [process.execPath],
    text: line => `import OpenAI from 'openai'\n${line}\n` +
      `console.log((await client.chat.completions.create(${JSON.stringify(chat)})).choices[0].message.content)`,
    expected: 'You asked: why'
  },
  'Node `@anthropic-ai/sdk`': {
    file: 'anthropic-line.mjs',
    command: [process.execPath],
    text: line => `import Anthropic from '@anthropic-ai/sdk'\n${line}\nconsole.log((await client.messages.create({ ` +
      `...${JSON.stringify(chat)}, max_tokens: 9 })).content[0].text)`,
    expected: 'You asked: why'
  },
  curl: { file: 'curl.sh', command: ['sh'], text: line => `${line} --silent --data why`, expected: 'why' }
}

const withoutPython = absent(tools.python)
if (withoutPython !== undefined) {
  t.pass('lines', { skip: withoutPython })
} else {
  const { local } = await startChain(t, await startModel(t))
  // Inside of the project, so that Node finds its packages.
  const folder = join(tools.suite, '../node_modules/.cache/polaris-lines')
  mkdirSync(folder, { recursive: true })

  t.same(
    [...lines.keys()].filter(name => name !== 'MCP over streamable HTTP'), Object.keys(programs),
    'every line has its program; MCP has a test of its own'
  )
  for (const [name, { file, command: [executable = '', ...args], text, expected }] of Object.entries(programs)) {
    t.test(name, async t => {
      const line = lines.get(name) ?? ''
      t.match(line, 'http://127.0.0.1:8787')
      writeFileSync(join(folder, file), text(line.replace('http://127.0.0.1:8787', local)))
      const { stdout } = await promisify(execFile)(executable, [...args, join(folder, file)], {
        encoding: 'utf8',
        timeout: 90_000,
        env: { ...process.env, PYTHON: tools.python, OPENAI_API_KEY: SECRET, ANTHROPIC_API_KEY: SECRET, QUESTION }
      })
      t.equal(stdout.trim(), expected)
    })
  }
}
