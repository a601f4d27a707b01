/** An MCP client over streamable HTTP, told nothing but a URL. Prints what it was answered. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const client = new Client({ name: 'client', version: '1.0.0' })
const transport = new StreamableHTTPClientTransport(new URL(`${process.env['BASE_URL']}/mcp`))
await client.connect(transport as Parameters<typeof client.connect>[0])
const { tools } = await client.listTools()
const { content } = await client.callTool({ name: 'shout', arguments: { text: process.env['QUESTION'] } })
await client.close()
process.stdout.write(JSON.stringify({ tools: tools.map(({ name }) => name), content }))
