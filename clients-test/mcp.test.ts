// The Model Context Protocol over streamable HTTP: its own client and a real server, through polaris proxy.
import t from 'tap'
import { QUESTION, runClient, startChain, startWorkload } from './fixtures/chain.ts'

t.setTimeout(120_000)

t.test('a client calls a tool, and hears what the server says meanwhile', async t => {
  const direct = await startWorkload(t, [process.execPath, 'node/mcp-server.ts'])
  const { local, wire } = await startChain(t, direct)
  const plain = await runClient<object>([process.execPath, 'node/with-mcp.ts'], direct)
  const encrypted = await runClient<object>([process.execPath, 'node/with-mcp.ts'], local)
  t.same(encrypted, plain)
  t.same(encrypted, { tools: ['shout'], content: [{ type: 'text', text: QUESTION.toUpperCase() }] })
  const seen = Buffer.concat([wire.sent(), wire.received()])
  for (const word of ['jsonrpc', 'shout', 'mcp', QUESTION]) t.notOk(seen.includes(word), word)
})
