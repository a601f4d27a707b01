/** An MCP server over streamable HTTP, of the protocol's own SDK. Prints its port, then serves until it is ended. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { z } from 'zod'

/** A session of its own for every request: nothing has to be remembered between them. */
async function transport (): Promise<StreamableHTTPServerTransport> {
  const server = new McpServer({ name: 'workload', version: '1.0.0' }, { capabilities: { logging: {} } })
  server.registerTool('shout', { description: 'Says it louder', inputSchema: { text: z.string() } },
    async ({ text }, { sendNotification }) => {
      await sendNotification({ method: 'notifications/message', params: { level: 'info', data: 'taking a breath' } })
      return { content: [{ type: 'text', text: text.toUpperCase() }] }
    })
  const transport = new StreamableHTTPServerTransport()
  await server.connect(transport as Parameters<typeof server.connect>[0])
  return transport
}

const server = createServer(async (request, response) => {
  if (request.method !== 'POST') return response.writeHead(405).end()
  await (await transport()).handleRequest(request, response)
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
